-- Nonces that somebody else used with a key of ours: passed over once they are final, and not missed by who counts.
ALTER TABLE chain_nonces ADD COLUMN of_others int8multirange NOT NULL DEFAULT '{}';
