-- The API answers what was as of a block, or may be spent as of a time: it asks which block that was.

GRANT SELECT ON chain_blocks TO gateway;
