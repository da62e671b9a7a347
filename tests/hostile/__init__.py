"""What hostile clients leave behind."""
