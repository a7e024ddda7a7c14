"""The event bus: topics, envelopes, publishing and the consumer runner.

Kafka stays behind this package: nothing outside it (but the local stack) imports the client. What happens in
each kind of failure stands in the package's README.
"""
