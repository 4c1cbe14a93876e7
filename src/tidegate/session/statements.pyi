class Statements:
    """All statements that some client or server of this worker knows."""

    def __len__(self) -> int: ...
