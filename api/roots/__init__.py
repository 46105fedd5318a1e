"""Composition roots: where each process, command, demo and bench puts its parts together."""
