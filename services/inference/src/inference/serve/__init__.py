"""The role that answers: gRPC and REST, each request within its deadline."""
