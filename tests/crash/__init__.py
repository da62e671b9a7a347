"""Programs that are killed, and meet errors, at every step."""
