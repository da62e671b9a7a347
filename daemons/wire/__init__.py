"""Codecs: octets and text to values and back; no socket, file, clock or process."""
