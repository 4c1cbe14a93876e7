"""Load generators in C, compiled by the bench itself with gcc, libssl and libcrypto into a temporary folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.processes import BenchError

_SOURCES = Path(__file__).parent
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")
_LIBRARIES = ("-lssl", "-lcrypto", "-pthread")
PROGRAMS = ("connect_storm", "idle_clients", "query_latency", "tls_storm")


def build(folder: Path) -> None:
    """Compile every generator into `folder`; BenchError with the compiler's words."""
    shared = [_SOURCES / "pgwire.c", _SOURCES / "scram.c"]
    for program in PROGRAMS:
        command = ["gcc", *_FLAGS, "-o", folder / program, _SOURCES / f"{program}.c", *shared, *_LIBRARIES]
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise BenchError("gcc is not installed (the load generators are C; libssl-dev is needed too)") from error
        if done.returncode != 0:
            raise BenchError(f"can't compile {program}.c (is libssl-dev installed?):\n{done.stderr}")
