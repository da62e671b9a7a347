"""What outlives a conversation: files and databases; no socket."""
