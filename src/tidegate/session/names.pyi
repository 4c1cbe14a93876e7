from collections.abc import Mapping

from tidegate.session.pins import PinReason

class Effect:
    """What the use of a name may change: settings, and what pins the session. Compared by value."""

    @property
    def touched(self) -> tuple[str, ...]: ...
    @property
    def pin(self) -> PinReason | None: ...
    @property
    def flags(self) -> int:
        """ScanFlag bits: MAKES_CODE and READS_SEQUENCES."""
    def __init__(self, touched: tuple[str, ...] = (), pin: PinReason | None = None, flags: int = 0) -> None: ...

class NameSet:
    """Names in one database by which a statement reaches hidden changes. Never changed once made."""

    @property
    def count(self) -> int: ...
    @property
    def symbols(self) -> tuple[tuple[bytes, Effect], ...]: ...
    @property
    def always(self) -> Effect | None: ...
    @property
    def on_ddl(self) -> Effect | None: ...
    @property
    def foreign(self) -> Effect | None: ...
    @property
    def settings(self) -> frozenset[str]:
        """All that any of them touches."""
    @property
    def flags(self) -> int:
        """ScanFlag bits that any of them has."""
    @property
    def empty(self) -> bool: ...
    def __init__(
        self,
        names: Mapping[bytes, Effect],
        symbols: Mapping[bytes, Effect] = ...,
        always: Effect | None = None,
        on_ddl: Effect | None = None,
        foreign: Effect | None = None,
    ) -> None:
        """`names`: identifiers in ASCII, as the catalogue has them; `symbols`: operators."""
    def get(self, name: bytes) -> Effect | None:
        """The effect of an identifier (1 to 63 bytes), as the scanner looks it up."""

def name_hash(name: bytes) -> int:
    """64 bits that stand for a name where many are kept."""
