"""Tamper evidence: every event is a leaf of a Merkle log (RFC 6962), from which short proofs are made for whoever does not trust us."""
