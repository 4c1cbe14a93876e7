def short_turns() -> int:
    """Have this thread run for a short while at a time. 0, or an errno."""
