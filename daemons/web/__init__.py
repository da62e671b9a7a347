"""What the programs of the web family share: how an HTTP conversation is held, and what it is about."""
