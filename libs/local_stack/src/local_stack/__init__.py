"""A real Kafka and a real Valkey on a machine with nothing but Python."""
