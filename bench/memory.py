"""Memory of a family of processes: proportional set size (PSS), which counts a page shared by n processes as 1/n.

Owns reading /proc/PID/smaps_rollup. Kernel memory (socket buffers) is not in it, on any side.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def pss_bytes(pids: Iterable[int]) -> int:
    """Sum of PSS over these processes, in bytes."""
    return sum(_pss_kib(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in pids) * 1024


def _pss_kib(rollup: str) -> int:
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError("no Pss line in smaps_rollup")
