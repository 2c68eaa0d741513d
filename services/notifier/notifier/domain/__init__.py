"""notifier's decisions, pure."""
