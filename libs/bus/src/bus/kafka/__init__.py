"""The bus's adapters to Kafka: the only place that knows the client."""

from bus.kafka.compression import compress_quickly
from bus.kafka.fetched import hand_over_plain_records
from bus.kafka.header_names import read_any_header_name

compress_quickly()
hand_over_plain_records()
read_any_header_name()
