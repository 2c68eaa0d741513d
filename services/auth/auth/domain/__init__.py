"""Rules of sign-in, sessions and access codes; pure."""
