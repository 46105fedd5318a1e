"""What was told of it: the outbox, Kafka, the consumers, webhooks."""
