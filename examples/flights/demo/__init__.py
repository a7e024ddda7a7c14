"""The demo: real flights through the real platform, from the first event to a report.

`story` tells it, `verify` holds it to its promises, `figures` says how good the scores were, `report` draws.
"""

from examples.flights.demo.run import live

__all__ = ["live"]
