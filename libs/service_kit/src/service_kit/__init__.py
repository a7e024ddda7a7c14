"""A service's frame: what every `__main__` calls.

It holds settings, structured logs, metrics, health, trace context and the graceful stop; it knows nothing of
Kafka, Redis or any service's work. What happens in each kind of failure stands in the package's README.
"""

from service_kit.frame import Service, run
from service_kit.health import Health
from service_kit.settings import Settings

__all__ = ["Health", "Service", "Settings", "run"]
