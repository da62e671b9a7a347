"""The fd0 command: one file per sub-command."""
