"""What callers are told: shapes, and the questions that fill them."""
