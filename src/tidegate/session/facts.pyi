from enum import IntFlag

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
    def deallocate(self) -> bytes | None:
        """The name in the first DEALLOCATE name, as PostgreSQL folds it."""
    @property
    def set_default(self) -> str | None:
        """The setting's name, when the text is one statement that returns it to its default."""
    @property
    def replayable(self) -> bool:
        """Whether the text is one SET whose result depends on nothing but the text."""
