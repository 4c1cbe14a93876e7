"""An application behind an ORM: SET search_path at each checkout, a transaction of prepared statements, a pause.

100 clients of a pool of 20. A proxy that lends by transaction serves all of them in the pauses of the others; one that
gives a client its server for the whole session (RDS Proxy pins at the SET) serves 20. CPU is not measured here: the
question is how many transactions pass, and whether a session is pinned.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from bench.contenders import Contender, Tidegate
from bench.processes import BenchError
from bench.workloads.base import Bench, Workload, too_many
from bench.workloads.closing import read_closing
from bench.workloads.transactions import follow

CLIENTS = 100
THINK_MS = 50
_PATIENCE = 180.0
_CONTROL_TIMEOUT = 10.0

# pgbench sends each under -M prepared as a named statement; SET, too, as drivers with prepared statements do.
_SCRIPT = f"""\
\\set aid random(1, 100000)
\\set delta random(-500, 500)
SET search_path TO public, pg_catalog;
BEGIN;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
COMMIT;
\\sleep {THINK_MS} ms
"""


def pins_of(contender: Tidegate) -> float:
    """Sessions that this proxy has pinned since its start."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(_CONTROL_TIMEOUT)
        control.connect(str(contender.folder / "control"))
        control.sendall(b'{"command": "stats"}\n')
        with control.makefile("rb") as lines:
            answer = json.loads(lines.readline())
    return float(answer["pins"])


class Orm(Workload):
    """One case, named after the number of clients."""

    name = "orm"
    contenders = ("direct", "tidegate", "pgbouncer-session")

    def cases(self) -> list[str]:
        """The number of clients."""
        return [f"{CLIENTS} clients"]

    def obstacle(self, case: str, contender: Contender) -> str | None:
        """Fewer connections than clients."""
        return too_many(CLIENTS, contender)

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`tps` and mean `latency_ms` (with the pause), `pins` of Tidegate; BenchError on any failed transaction."""
        script = bench.generators / "orm.sql"
        script.write_text(_SCRIPT)
        seconds = bench.seconds(full=8, quick=4)
        command = _scripted(bench.pgbench_command(contender, "prepared", CLIENTS, "-T", f"{seconds:.0f}"), script)
        before = pins_of(contender) if isinstance(contender, Tidegate) else 0.0
        # Its progress lines stop while its first thread waits for a server, as in session mode it may to the end.
        _, lines = follow(command, [], seconds + _PATIENCE)
        values = read_closing(lines)
        if isinstance(contender, Tidegate):
            values["pins"] = pins_of(contender) - before
        return values


def _scripted(command: list[str], script: Path) -> list[str]:
    """pgbench's command line with a script in place of -S, and a thread for each client.

    PQprepare() blocks the thread: shared, it would wait for a server that another client of the same thread holds.
    """
    if "-S" not in command or "-j" not in command:
        raise BenchError("pgbench's command line has no -S or no -j")
    at, jobs = command.index("-S"), command.index("-j") + 1
    threaded = [*command[:jobs], str(CLIENTS), *command[jobs + 1 :]]
    return [*threaded[:at], "-f", str(script), *threaded[at + 1 :]]
