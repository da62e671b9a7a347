"""What only a real systemd shows: it is booted in a container made of this machine's own root (container.py)."""
