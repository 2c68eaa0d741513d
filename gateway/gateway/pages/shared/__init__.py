"""Pages that parents and staff share, and the pieces that pages are made of."""
