"""Our figures beside those of others, or beside the aims we set ourselves: one file a bench, on the real stack."""
