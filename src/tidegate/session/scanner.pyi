from tidegate.session.facts import Facts
from tidegate.session.names import NameSet

class Scanner:
    """Reads one SQL text in chunks of any size, without keeping it."""

    def __init__(self, standard_conforming_strings: bool = True, trail: int = 0) -> None: ...
    def push(self, chunk: bytes) -> None:
        """Reads the next bytes of the text."""
    def facts(self) -> Facts:
        """Ends the text. Nothing may be pushed after it."""

def scan_text(
    text: bytes, standard_conforming_strings: bool = True, trail: int = 0, names: NameSet | None = None
) -> Facts:
    """Reads a whole text, as the client sends it: in its encoding, without the closing zero byte.

    standard_conforming_strings is the session's value; trail is trail_bytes() of its client_encoding; names are those
    behind which something hides in its database.
    """

def trail_bytes(client_encoding: str) -> int:
    """How second bytes of characters are told from ASCII, for a client_encoding as the server spells it.

    0 for all but the seven encodings that only clients may use (manual, section 24.3): in those a backslash or a letter
    may be half of a character.
    """
