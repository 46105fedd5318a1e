-- What a lost registry is given back must be what it was: `fingerprint` is of the canonical form, which leaves words and defaults out.

ALTER TABLE schema_ids ADD COLUMN text_hash text;   -- sha256 of column schema, hex

UPDATE schema_ids SET text_hash = encode(sha256(convert_to(schema, 'UTF8')), 'hex');

ALTER TABLE schema_ids ALTER COLUMN text_hash SET NOT NULL;
