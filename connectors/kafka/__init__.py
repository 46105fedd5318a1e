"""Kafka from its administrator's side: topics, users, who may do what, and where each consumer begins."""
