"""Live tests: the programs under real launchers, spoken to by real clients, logging to real syslog sockets."""
