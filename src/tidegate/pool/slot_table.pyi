from mmap import mmap
from typing import Final

MAX_WORKERS: Final[int]
MAX_SLOTS: Final[int]
MAX_TARGETS: Final[int]

Memory = mmap | bytearray | memoryview

def region_size(targets: int, workers: int, slots: int = ...) -> int: ...
def format_region(memory: Memory, targets: int, workers: int, slots: int = ...) -> None: ...
