"""Pages of the town hall, for signed-in staff."""
