"""A payment's whole story, put together from what every component wrote down, for a person who asks why."""
