"""The bus's adapters to Kafka: the only place that knows the client."""
