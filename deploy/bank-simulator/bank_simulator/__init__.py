"""A stand-in bank that speaks the real protocols, with fault switches."""
