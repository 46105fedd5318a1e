"""The rules, pure: values in, values out. No clock, no randomness, no I/O; time and ids come in with the message."""
