"""Sockets, processes, time, log and privileges; no file here knows a protocol."""
