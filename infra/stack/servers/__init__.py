"""The servers of the embedded stack, a file each: how it is laid out, started, and known to be ready."""
