"""Tests of daemons/web."""
