"""The bus's adapters to Kafka: the only place that knows the client."""

from bus.kafka.header_names import read_any_header_name

read_any_header_name()
