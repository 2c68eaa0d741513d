"""auth's SQL."""
