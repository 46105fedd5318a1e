-- Accounts that are found by themselves, and history that is read in bulk.

-- Modifiers that the known factory made from builds that are known. Whose they are is asked at a final block.
CREATE TABLE chain_modules (
    chain_id    bigint NOT NULL,
    module      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('roles', 'delay')),
    made_block  bigint NOT NULL,                      -- its account's facts count from here on
    look_block  bigint,                               -- ask once this block is final; NULL: asked
    wallet      text,                                 -- whom it acts for, as it said itself
    verdict     text,                                 -- account, or why it is nobody's account of ours
    PRIMARY KEY (chain_id, module)
);
CREATE INDEX chain_modules_to_ask ON chain_modules (chain_id, look_block) WHERE look_block IS NOT NULL;
CREATE INDEX chain_modules_of ON chain_modules (chain_id, wallet);

-- Blocks below `skipped` were final when they were read, many at a time; only the last of a stretch is kept.
ALTER TABLE chain_blocks ADD COLUMN skipped bigint NOT NULL DEFAULT 0;

-- A new wallet whose past was read in bulk: facts up to here are stored.
ALTER TABLE chain_wallets ADD COLUMN filled_block bigint;

GRANT SELECT, INSERT, UPDATE ON chain_modules TO listener;
GRANT SELECT ON chain_modules TO operator, auditor;

-- Blocks before the listener's first that a person asked to have read: from `from_block` up to and with `until_block`.
CREATE TABLE chain_backfills (
    chain_id    bigint PRIMARY KEY,
    from_block  bigint NOT NULL,
    read_block  bigint NOT NULL,                      -- accounts made up to here are under watch
    until_block bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON chain_backfills TO listener;
GRANT SELECT ON chain_backfills TO auditor;
