// As much of a transfer as our own event says, found by its block: the bench asks for a block's rows again and again.

import { index, onchainTable } from "ponder";

export const transfer = onchainTable(
  "transfer",
  (t) => ({
    id: t.text().primaryKey(),
    sender: t.hex().notNull(),
    recipient: t.hex().notNull(),
    amount: t.bigint().notNull(),
    transactionHash: t.hex().notNull(),
    logIndex: t.integer().notNull(),
    blockNumber: t.bigint().notNull(),
    blockHash: t.hex().notNull(),
    blockTime: t.bigint().notNull(),
  }),
  (table) => ({ byBlock: index().on(table.blockNumber) }),
);
