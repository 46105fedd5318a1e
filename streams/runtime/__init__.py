"""How every agent of the product reads Kafka: fenced runs, parking per key, a watchdog. A component writes a `Handler`."""
