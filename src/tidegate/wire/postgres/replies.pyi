class OutOfStep(Exception):
    """A server sent a reply that nothing asked for."""
