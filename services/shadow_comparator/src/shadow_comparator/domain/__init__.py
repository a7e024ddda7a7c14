"""Pure decisions: no clock, environment, IO or protobuf."""
