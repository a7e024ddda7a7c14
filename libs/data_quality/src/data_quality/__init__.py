"""Days of events, judged against what their source expects of them."""
