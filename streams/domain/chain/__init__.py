"""The chain legs: what moved, what follows from that, and what must move next."""
