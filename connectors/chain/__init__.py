"""The chain's door: reading blocks and logs, decoding them, signing and sending."""
