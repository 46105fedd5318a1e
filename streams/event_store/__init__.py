"""The memory: append, read, and the hash that lets anyone check what was stored."""
