"""What every service's __main__ calls: settings, logs, metrics, health, graceful stop."""
