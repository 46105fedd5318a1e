"""What an owner or a superuser may do to the tables, each with how it is taken back and which objects `verify` names for it."""

from __future__ import annotations

from infra.migrations.runner import Server

HIDE = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; CREATE POLICY hide ON {0} USING (false)"
SHOW = "DROP POLICY hide ON {0}; ALTER TABLE {0} DISABLE ROW LEVEL SECURITY"
TRIGGER = """
CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.version := 1; RETURN NEW; END';
CREATE TRIGGER bend BEFORE INSERT ON streams FOR EACH ROW EXECUTE FUNCTION bend()
"""
BEND = """
DO $$ BEGIN EXECUTE replace(pg_get_functiondef('newest_position'::regproc), 'THEN last_value', 'THEN last_value - 1'); END $$
"""
STRAIGHT = """
DO $$ BEGIN EXECUTE replace(pg_get_functiondef('newest_position'::regproc), 'THEN last_value - 1', 'THEN last_value'); END $$
"""
VIEW = (
    "ALTER TABLE cards RENAME TO cards_before; CREATE VIEW cards AS SELECT * FROM cards_before WHERE card_token <> 'x'"
)
UNVIEW = "DROP VIEW cards; ALTER TABLE cards_before RENAME TO cards"
TRUSTING = """
ALTER TABLE streams DROP CONSTRAINT streams_version_check;
ALTER TABLE streams ADD CONSTRAINT streams_version_check CHECK (version > 0) NOT VALID
"""
LISTENING = """
CREATE FUNCTION whisper() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER whisper ON login EXECUTE FUNCTION whisper()
"""
EQUAL = """
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = same)
"""
OTHERS = "CREATE SCHEMA other; CREATE TABLE other.more () INHERITS ({0})"

TRICKS: dict[str, tuple[Server, str, str, set[tuple[str, str]]]] = {
    # what: (server, done, undone, {(table, object) that is named})
    "a row policy": (
        *("write", HIDE.format("events"), SHOW.format("events")),
        {("events", "table events"), ("events", "row policy hide")},
    ),
    "a row policy on one slice": (
        *("write", HIDE.format("events_0_hot"), SHOW.format("events_0_hot")),
        {("events_0_hot", "table events_0_hot"), ("events_0_hot", "row policy hide")},
    ),
    "a row policy on R": (
        *("read", HIDE.format("payments"), SHOW.format("payments")),
        {("payments", "table payments"), ("payments", "row policy hide")},
    ),
    "a row policy on the keys": (
        *("keys", HIDE.format("person_keys"), SHOW.format("person_keys")),
        {("person_keys", "table person_keys"), ("person_keys", "row policy hide")},
    ),
    "a trigger": (
        *("write", TRIGGER, "DROP TRIGGER bend ON streams; DROP FUNCTION bend"),
        {("streams", "trigger bend"), ("W", "function bend()")},
    ),
    "a trigger that is a foreign key's, disabled": (
        *(
            "write",
            "ALTER TABLE webhook_attempts DISABLE TRIGGER ALL",
            "ALTER TABLE webhook_attempts ENABLE TRIGGER ALL",
        ),
        {
            ("webhook_attempts", "trigger webhook_attempts_message_id_fkey RI_FKey_check_ins"),
            ("webhook_attempts", "trigger webhook_attempts_message_id_fkey RI_FKey_check_upd"),
        },
    ),
    "an event trigger at a login": (
        *("write", LISTENING, "DROP EVENT TRIGGER whisper; DROP FUNCTION whisper"),
        {("W", "event trigger whisper"), ("W", "function whisper()")},
    ),
    "a rule": (
        *(
            "read",
            "CREATE RULE no_more AS ON INSERT TO ledger_postings DO INSTEAD NOTHING",
            "DROP RULE no_more ON ledger_postings",
        ),
        {("ledger_postings", "rule no_more")},
    ),
    "another body of a function": ("write", BEND, STRAIGHT, {("W", "function newest_position()")}),
    "a function that looks for its tables elsewhere": (
        "write",
        "ALTER FUNCTION lock_streams SET search_path = other, public",
        "ALTER FUNCTION lock_streams SET search_path = public, pg_temp",
        {("W", "function lock_streams(p_streams uuid[])")},
    ),
    "a function of the same name beside": (
        "write",
        "CREATE FUNCTION append_lock(p_above integer) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        "DROP FUNCTION append_lock(integer)",
        {("W", "function append_lock(p_above integer)")},
    ),
    "another equality": (
        *("write", EQUAL, "DROP OPERATOR public.= (text, text); DROP FUNCTION same"),
        {("W", "operator public.=(text,text)"), ("W", "function same(text, text)")},
    ),
    "a constraint that is gone": (
        "write",
        "ALTER TABLE audit_leaves DROP CONSTRAINT audit_leaves_hash_check",
        "ALTER TABLE audit_leaves ADD CONSTRAINT audit_leaves_hash_check CHECK (length(hash) = 32)",
        {("audit_leaves", "constraint audit_leaves_hash_check")},
    ),
    "a constraint that was not validated": (
        *("write", TRUSTING, "ALTER TABLE streams VALIDATE CONSTRAINT streams_version_check"),
        {("streams", "constraint streams_version_check")},
    ),
    "a unique index that is gone": (
        "write",
        "DROP INDEX events_0_hot_version",
        "CREATE UNIQUE INDEX events_0_hot_version ON events_0_hot (stream_id, version)",
        {("events_0_hot", "index events_0_hot_version")},
    ),
    "a unique index that is unique no more": (
        "write",
        "DROP INDEX outbox_0_id; CREATE INDEX outbox_0_id ON outbox_0 (id)",
        "DROP INDEX outbox_0_id; CREATE UNIQUE INDEX outbox_0_id ON outbox_0 (id)",
        {("outbox_0", "index outbox_0_id")},
    ),
    "a right to change what happened": (
        *("write", "GRANT UPDATE ON events TO commands", "REVOKE UPDATE ON events FROM commands"),
        {("events", "table events")},
    ),
    "a right on one column": (
        *("write", "GRANT UPDATE (root) ON audit_anchors TO audit", "REVOKE UPDATE (root) ON audit_anchors FROM audit"),
        {("audit_anchors", "column root")},
    ),
    "a right to a function": (
        *(
            "write",
            "GRANT EXECUTE ON FUNCTION open_slices TO public",
            "REVOKE EXECUTE ON FUNCTION open_slices FROM public",
        ),
        {("W", "function open_slices(p_ahead integer)")},
    ),
    "a right on tables to come": (
        "write",
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT UPDATE ON TABLES TO commands",
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner REVOKE UPDATE ON TABLES FROM commands",
        {("W", "default grants owner r ")},
    ),
    "a role that is another too": (
        *("write", "GRANT owner TO commands", "REVOKE owner FROM commands"),
        {("W", "role owner"), ("W", "role commands")},
    ),
    "a role that row policies do not hold": (
        *("read", "ALTER ROLE queries BYPASSRLS", "ALTER ROLE queries NOBYPASSRLS"),
        {("R", "role queries")},
    ),
    "a role that finds other tables first": (
        *("write", "ALTER ROLE sagas SET search_path = other, public", "ALTER ROLE sagas RESET search_path"),
        {("W", "setting search_path of sagas")},
    ),
    "a database in which triggers rest": (
        "read",
        "ALTER DATABASE payriver SET session_replication_role = replica",
        "ALTER DATABASE payriver RESET session_replication_role",
        {
            ("R", "setting session_replication_role of every role"),
            ("R", "setting session_replication_role of the server"),
        },
    ),
    "another default": (
        "write",
        "ALTER TABLE events ALTER transaction_id SET DEFAULT '1'",
        "ALTER TABLE events ALTER transaction_id SET DEFAULT pg_current_xact_id()",
        {
            (table, "column transaction_id")
            for table in ("events", "events_0", "events_0_hot", "events_1", "events_1_hot", "events_beyond")
        },
    ),
    "a view in a table's place": (
        "write",
        VIEW,
        UNVIEW,
        {("cards", "table cards"), ("cards_before", "table cards_before")},
    ),
    "a table that is gone": (
        *(
            "write",
            "ALTER TABLE lost_events SET SCHEMA pg_catalog",
            "ALTER TABLE pg_catalog.lost_events SET SCHEMA public",
        ),
        {("lost_events", "table lost_events")},
    ),
    "a table elsewhere that adds its rows": (
        *("read", OTHERS.format("balances"), "DROP SCHEMA other CASCADE"),
        {("balances", "child other.more")},
    ),
    "a slice cut off": (
        "write",
        "ALTER TABLE events DETACH PARTITION events_1",
        "ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (20000000) TO (40000000)",
        {("events_1", "table events_1")},
    ),
    "a slice with other bounds": (
        "write",
        "ALTER TABLE outbox DETACH PARTITION outbox_1; ALTER TABLE outbox ATTACH PARTITION outbox_1 FOR VALUES FROM (30000000) TO (40000000)",
        "ALTER TABLE outbox DETACH PARTITION outbox_1; ALTER TABLE outbox ATTACH PARTITION outbox_1 FOR VALUES FROM (20000000) TO (40000000)",
        {("outbox_1", "table outbox_1")},
    ),
    "a table that the log does not hold": (
        *("write", "ALTER TABLE chain_nonces SET UNLOGGED", "ALTER TABLE chain_nonces SET LOGGED"),
        {("chain_nonces", "table chain_nonces")},
    ),
    "a table whose rows have no identity for who follows them": (
        *("write", "ALTER TABLE outbox REPLICA IDENTITY NOTHING", "ALTER TABLE outbox REPLICA IDENTITY DEFAULT"),
        {("outbox", "table outbox")},
    ),
    "a publication without its table": (
        "write",
        "ALTER PUBLICATION outbox_publication DROP TABLE outbox",
        "ALTER PUBLICATION outbox_publication ADD TABLE outbox",
        {("outbox", "published table outbox_publication")},
    ),
    "a publication of some rows": (
        "write",
        "ALTER PUBLICATION outbox_publication SET TABLE outbox WHERE (topic <> 'payments.events')",
        "ALTER PUBLICATION outbox_publication SET TABLE outbox",
        {("outbox", "published table outbox_publication")},
    ),
    "a publication that tells no insert": (
        "write",
        "ALTER PUBLICATION outbox_publication SET (publish = 'update')",
        "ALTER PUBLICATION outbox_publication SET (publish = 'insert')",
        {("W", "publication outbox_publication")},
    ),
    "a publication beside": (
        *("write", "CREATE PUBLICATION whisper FOR ALL TABLES", "DROP PUBLICATION whisper"),
        {("W", "publication whisper")},
    ),
}
