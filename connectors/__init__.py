"""The world outside: the chain, the card network's gateway, Kafka's provisioning, Debezium."""
