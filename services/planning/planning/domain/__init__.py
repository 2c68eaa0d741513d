"""Which days a child can be booked, until when, and what becomes of a wish; pure."""
