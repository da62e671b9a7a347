"""The fd0 command, sub-command by sub-command."""
