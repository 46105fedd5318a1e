-- What the numbered steps of this folder end in. Written by `python -m infra.migrations.dump`; a test compares.

CREATE TABLE migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE person_keys (
    key_id uuid NOT NULL,
    person_id uuid NOT NULL,
    secret bytea,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    destroyed_at timestamp with time zone,
    CONSTRAINT person_keys_check CHECK (((secret IS NULL) = (destroyed_at IS NOT NULL))),
    CONSTRAINT person_keys_secret_check CHECK ((octet_length(secret) = 32))
);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY person_keys
    ADD CONSTRAINT person_keys_person_id_key UNIQUE (person_id);

ALTER TABLE ONLY person_keys
    ADD CONSTRAINT person_keys_pkey PRIMARY KEY (key_id);

GRANT SELECT,INSERT,MAINTAIN ON TABLE person_keys TO keeper;

GRANT SELECT(key_id) ON TABLE person_keys TO auditor;

GRANT SELECT(person_id) ON TABLE person_keys TO auditor;

GRANT UPDATE(secret) ON TABLE person_keys TO keeper;

GRANT SELECT(made_at) ON TABLE person_keys TO auditor;

GRANT UPDATE(destroyed_at) ON TABLE person_keys TO keeper;
GRANT SELECT(destroyed_at) ON TABLE person_keys TO auditor;
