-- Of an on-chain limit there may be several changes that are not final, each with its block, and what was spent from it.

ALTER TABLE balances ADD COLUMN pending_allowances jsonb NOT NULL DEFAULT '[]';

-- Until now one was kept, without its block: the newest that was set.
UPDATE balances AS b
SET pending_allowances = jsonb_build_array(jsonb_build_object(
    'block_number', (
        SELECT (d.payload ->> 'block_number')::bigint FROM deliveries AS d
        WHERE d.stream_id = b.account_id AND d.type = 'AllowanceObserved' AND d.payload ->> 'cause' = 'set'
        ORDER BY d.version DESC LIMIT 1
    ),
    'allowance', b.raised_allowance, 'spends', '[]'::jsonb
))
WHERE b.raised_allowance IS NOT NULL;

ALTER TABLE balances DROP COLUMN raised_allowance;
