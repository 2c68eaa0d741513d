"""planning's SQL."""
