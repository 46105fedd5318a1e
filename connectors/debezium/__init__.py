"""Debezium from our side: the one connector that carries the outbox into Kafka, exactly once and byte for byte."""
