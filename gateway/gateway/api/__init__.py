"""What other programs call: JSON, and the banks' webhooks."""
