"""The shape of both databases, as plain SQL: numbered steps that run once each, and the end state they lead to."""
