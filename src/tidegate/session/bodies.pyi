from array import array

from tidegate.session.pins import PinReason

class Body:
    """What one function's text says."""

    @property
    def touched(self) -> tuple[str, ...]:
        """Settings that it may change, as in Facts."""
    @property
    def reasons(self) -> frozenset[PinReason]:
        """All of them; UNREAD_CODE where it runs text that is not known."""
    @property
    def flags(self) -> int:
        """ScanFlag bits."""
    @property
    def words(self) -> array[int]:
        """name_hash() of every identifier and keyword in it, each once."""
    @property
    def runs(self) -> frozenset[bytes]:
        """The runs of operator characters in it."""

def read_body(text: bytes, words: bool = True) -> Body:
    """Reads the body of a function in SQL or PL/pgSQL, in the database's encoding."""
