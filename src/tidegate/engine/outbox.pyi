class Outbox:
    """What leaves at the end of a turn."""

    def with_ring(self) -> int:
        """Send by io_uring from now on. 0, or the errno that says why it is not to be had."""
    def without_ring(self) -> None:
        """Send by a call for each from now on."""
