"""Where the servers of a stack answer, whoever runs them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a Kafka and a Valkey answer; None for one that was not wanted."""

    kafka_bootstrap: str | None = None
    redis_url: str | None = None

    def environment(self) -> dict[str, str]:
        """Return what a service's environment must say to use them."""
        named = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap, "REDIS_URL": self.redis_url}
        return {name: address for name, address in named.items() if address is not None}

    def or_else(self, other: "Addresses") -> "Addresses":
        """Fill what is missing here from other addresses."""
        return Addresses(self.kafka_bootstrap or other.kafka_bootstrap, self.redis_url or other.redis_url)
