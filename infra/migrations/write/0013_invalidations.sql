-- A spend that is given up is taken back by its signer on chain: an intent of its own, which names the leg that it takes back.

ALTER TABLE chain_intents DROP CONSTRAINT chain_intents_kind_check;
ALTER TABLE chain_intents ADD CONSTRAINT chain_intents_kind_check CHECK (kind IN ('spend', 'refund', 'invalidation'));
ALTER TABLE chain_intents ADD COLUMN invalidates uuid UNIQUE REFERENCES chain_intents;
ALTER TABLE chain_intents ADD CONSTRAINT chain_intents_invalidates_check CHECK ((kind = 'invalidation') = (invalidates IS NOT NULL));
