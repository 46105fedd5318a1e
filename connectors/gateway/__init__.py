"""The card network's door: an answer within the deadline, without a hop over Kafka."""
