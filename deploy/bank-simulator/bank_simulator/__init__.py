"""A stand-in for a bank: it speaks the bank's own protocol, keeps its own book, and fails when told to."""
