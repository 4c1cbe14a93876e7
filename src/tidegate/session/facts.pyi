from enum import IntEnum, IntFlag

from tidegate.session.pins import PinReason

class ScanFlag(IntFlag):
    SINGLE = 1
    TOUCHES = 2
    RESET_ALL = 4
    DISCARD_ALL = 8
    DISCARD_OTHER = 16
    DEALLOCATE_ONE = 32
    DEALLOCATE_ALL = 64
    PINS = 128
    BEGINS = 256
    ENDS = 512
    COPIES = 1024
    DDL = 2048
    RESHAPES = 4096
    FREES = 8192
    ABOUT_BACKENDS = 1048576
    READS_SEQUENCES = 2097152
    NAMES = 16384
    MAKES_CODE = 32768
    LISTENS = 65536
    UNLISTENS = 131072
    NOTIFIES = 262144
    LOCALLY = 524288

class PlaceKind(IntEnum):
    PREPARES = 1
    EXECUTES = 2
    DROPS = 3
    DROPS_ALL = 4

class Place:
    """Where a text names a prepared statement: PREPARE, EXECUTE (on its own, behind EXPLAIN or AS), DEALLOCATE."""

    def __init__(self, kind: int, name: bytes | None, start: int, end: int, stop: int) -> None: ...
    @property
    def kind(self) -> int:
        """PlaceKind."""
    @property
    def name(self) -> bytes | None:
        """As PostgreSQL folds it; None for DEALLOCATE ALL and DISCARD ALL."""
    @property
    def start(self) -> int:
        """Offset in bytes of the name as it is spelled, its quotes included; -1 where there is none."""
    @property
    def end(self) -> int:
        """Offset in bytes behind the name, or -1."""
    @property
    def stop(self) -> int:
        """Of PREPARE: offset in bytes of the semicolon that ends the statement, or of the text's end; else -1."""

class Facts:
    """What one text says. Never changed once made; texts that name nothing share instances."""

    @property
    def statements(self) -> int:
        """Number of statements that are not empty; may be too high, never too low."""
    @property
    def flags(self) -> int:
        """ScanFlag bits."""
    @property
    def touched(self) -> tuple[str, ...]:
        """Lower-case names of the settings whose session value could change, each once, in order.

        SET LOCAL and SET TRANSACTION touch nothing; RESET ALL and DISCARD ALL are flags.
        """
    @property
    def pin(self) -> PinReason | None:
        """The first reason found."""
    @property
    def bound(self) -> tuple[int, ...]:
        """Numbers of the parameters that name settings which may change: set_config($1, ...)."""
    @property
    def deallocate(self) -> bytes | None:
        """The name in the first DEALLOCATE name, as PostgreSQL folds it."""
    @property
    def unlistened(self) -> tuple[bytes | None, ...]:
        """The channel of each UNLISTEN, in order: None for all of them, b"" for one whose name can't be told.

        pg_listening_channels counts as the latter: the session must know what it listens to.
        """
    @property
    def set_default(self) -> str | None:
        """The setting's name, when the text is one statement that returns it to its default."""
    @property
    def replayable(self) -> bool:
        """Whether the text is one SET whose result depends on nothing but the text."""
    @property
    def places(self) -> tuple[Place, ...]:
        """Where the text names prepared statements, in order; () if it names none of its own (see NAMES)."""
