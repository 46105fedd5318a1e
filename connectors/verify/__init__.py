"""The audit: everything stored is held against everything else, and against the chain, by code that wrote none of it."""
