def taken() -> int:
    """How many places are taken."""
