-- Who is behind which account. Details as they were sealed: R has no key, and whoever asks opens them with one.

CREATE TABLE persons (
    person_id      uuid PRIMARY KEY,
    state          text NOT NULL CHECK (state IN ('known', 'forgotten')),
    revision       integer NOT NULL,
    key_id         uuid NOT NULL,
    algorithm      text,
    nonce          text,
    sealed         text,
    held_until     timestamptz,
    hold_reason    text,
    registered_at  timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    version        integer NOT NULL
);

CREATE TABLE account_holders (
    account_id  uuid PRIMARY KEY,
    person_id   uuid NOT NULL
);
CREATE INDEX account_holders_person ON account_holders (person_id);

GRANT SELECT, INSERT, UPDATE ON persons, account_holders TO projections, operator;
GRANT SELECT ON persons, account_holders TO queries, auditor;
