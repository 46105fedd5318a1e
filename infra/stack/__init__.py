"""The embedded stack: the same real servers as in production, from packages alone, for a machine with nothing but Python."""
