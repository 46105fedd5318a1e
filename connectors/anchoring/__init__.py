"""Anchors: the audit log's root stated on chain by a key of ours, carried to finality, and read back from the chain alone."""
