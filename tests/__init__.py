"""The tests of fd0; this folder mirrors daemons/."""
