"""What became of a client's message."""

cdef enum Outcome:
    DONE
    STOP  # the client waits, or has ended: the message is not dealt with
