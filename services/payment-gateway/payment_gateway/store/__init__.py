"""payment-gateway's SQL."""
