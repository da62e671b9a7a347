"""What programs for mail share: who a recipient is, what becomes of a message, who may log in."""
