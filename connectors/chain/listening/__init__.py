"""In from the chain: its blocks become facts of our accounts, in the order in which they stand, and back again in a reorg."""
