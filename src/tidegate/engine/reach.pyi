def sent_in_vain(fd: int) -> int:
    """How many times in a row the kernel has sent the same data again without an acknowledgement of any."""
