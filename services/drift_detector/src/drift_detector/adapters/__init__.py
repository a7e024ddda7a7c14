"""Kafka, Redis and protobuf."""
