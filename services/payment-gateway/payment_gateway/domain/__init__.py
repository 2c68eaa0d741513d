"""payment-gateway's decisions, pure."""
