"""Pages of the parents."""
