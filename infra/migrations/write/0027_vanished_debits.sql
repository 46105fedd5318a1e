-- Of a debit that others sent and a reorg dropped: by whom and at which nonce, without which it can never be mined again.
ALTER TABLE chain_sightings
ADD COLUMN sender text,
ADD COLUMN nonce numeric(20, 0);

CREATE INDEX chain_sightings_vanished ON chain_sightings (chain_id) WHERE state = 'unseen' AND nonce IS NOT NULL;
