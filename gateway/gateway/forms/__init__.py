"""HTML forms: their declared fields, how they are read, and what they become."""
