"""The vocabulary: every message, its Avro schema, the topics they travel on."""
