"""The smallest programs that do the same work as ours: what a bench holds us against."""
