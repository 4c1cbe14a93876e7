"""Database wire protocols: bytes to messages and back, without sockets, clocks or policy."""
