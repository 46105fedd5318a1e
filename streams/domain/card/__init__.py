"""The card leg: what the network says, decided by one table."""
