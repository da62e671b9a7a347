"""fd0: small network daemons that find their socket on descriptor 0."""

__version__ = "0.1.0"
__date__ = "2026-11-24"         # of this version
