"""The command line: where each process is put together from what the rooms below export."""
