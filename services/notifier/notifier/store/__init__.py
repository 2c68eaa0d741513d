"""notifier's SQL."""
