-- A person closed a foreign spend that a reorg had dropped, and a block has it after all (closed_spend_mined, by its payment): counted like what
-- else contradicts us.
ALTER TABLE chain_contradictions
    DROP CONSTRAINT chain_contradictions_kind_check,
    ADD CONSTRAINT chain_contradictions_kind_check CHECK (kind IN ('drift_observed', 'endpoint_outvoted', 'closed_spend_mined'));
