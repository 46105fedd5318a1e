// Where the peer reads from and writes to, all of it told by the bench: one node, one token, one database.

import { createConfig } from "ponder";
import { parseAbi } from "viem";

const told = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};

export default createConfig({
  database: { kind: "postgres", connectionString: told("DATABASE_URL") },
  chains: { node: { id: 100, rpc: told("RPC_URL"), ws: told("SOCKET_URL") } },
  contracts: {
    Token: {
      chain: "node",
      abi: parseAbi(["event Transfer(address indexed from, address indexed to, uint256 value)"]),
      address: told("TOKEN") as `0x${string}`,
      startBlock: Number(told("START_BLOCK")),
    },
  },
});
