"""The same system as containers: the image of our processes, the servers' starts, the secrets' file."""
