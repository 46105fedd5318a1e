"""Each path: a request in, an answer out."""
