"""The register of persons: who is behind an account, sealed under a key that can be destroyed."""
