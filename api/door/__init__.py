"""How a request comes in: its bounds, its key, and the one shape in which it is refused."""
