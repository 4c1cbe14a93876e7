"""The PgBouncer that the bench compares with: found, fetched, or done without."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bench import run
from bench.contenders import EarlierTidegate, Setup, pgbouncer
from bench.contenders.base import Login
from bench.contenders.pgbouncer import PgBouncer
from bench.database import Database
from bench.processes import BenchError

ROOT = Path(__file__).parents[3]
LOGIN = Login("bench", "secret", "SCRAM-SHA-256$4096:c2FsdA==$a:b", "bench")
PLAN = run.Plan(only=("transactions",), cases=(), contenders=run.NAMES, rounds=1, quick=True, scale=1, peer=None)


class StandInDatabase(Database):
    """What contenders ask of a database before they start."""

    def __init__(self) -> None:
        self.login, self.superuser, self.superuser_password = LOGIN, "postgres", "secret"
        self.version, self.port = "PostgreSQL 17", 5432


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without PgBouncer."""
    monkeypatch.setattr(pgbouncer, "PLACES", (str(tmp_path / "pgbouncer"),))
    monkeypatch.setenv("PATH", str(tmp_path))


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("nowhere")
def test_without_a_pgbouncer_the_others_run_and_a_note_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contenders, notes = run.contenders(PLAN, tmp_path, StandInDatabase())
    assert [one.name for one in contenders] == ["direct", "tidegate"]
    assert [(one.contender, one.text) for one in notes] == [("pgbouncer", run.NO_PEER)]
    assert "bench/get_pgbouncer.sh" in capsys.readouterr().err


@pytest.mark.usefixtures("nowhere")
def test_one_that_was_asked_for_by_path_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no PgBouncer at /missing"):
        run.contenders(replace(PLAN, peer="/missing"), tmp_path, StandInDatabase())


@pytest.mark.usefixtures("nowhere")
def test_a_run_needs_somebody_to_measure(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="nobody"):
        run.contenders(replace(PLAN, contenders=["pgbouncer"]), tmp_path, StandInDatabase())


@pytest.mark.usefixtures("nowhere")
def test_another_checkout_is_measured_beside_this_one(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no checkout of Tidegate"):
        run.contenders(replace(PLAN, against=tmp_path), tmp_path, StandInDatabase())
    (tmp_path / "src/tidegate").mkdir(parents=True)
    contenders, _ = run.contenders(replace(PLAN, against=tmp_path), tmp_path, StandInDatabase())
    assert [one.name for one in contenders] == ["direct", "tidegate", "earlier"]
    assert isinstance(contenders[2], EarlierTidegate)
    assert contenders[2].environment()["PYTHONPATH"] == str(tmp_path / "src")


def test_an_old_one_is_named_so_and_runs_no_prepared_statements(tmp_path: Path) -> None:
    setup = Setup(
        tmp_path, 5432, LOGIN, "postgres", "secret", 20, 100, tmp_path / "server.pem", tmp_path / "server.key"
    )
    old = PgBouncer(setup, program(tmp_path / "bin" / "pgbouncer", "echo PgBouncer 1.18.0"))
    assert old.label == "PgBouncer 1.18.0 (older than the 1.25 that this comparison wants)"
    assert not old.runs_prepared


# What `make bench` does about it: tools/setup pgbouncer


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """tools/setup in a tree of its own, on a machine that has no PgBouncer and none of apt's commands."""
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    script = (ROOT / "tools" / "setup").read_text()
    assert "/usr/sbin/pgbouncer" in script
    program(root / "tools" / "setup", script.replace("/usr/sbin/pgbouncer", str(tmp_path / "sbin" / "pgbouncer")))
    for name in ("bash", "sh", "cat", "rm", "mkdir", "chmod", "mktemp", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (root / "commands").mkdir(exist_ok=True)
        (root / "commands" / name).symlink_to(found)
    return root


def set_up(checkout: Path, user: int) -> subprocess.CompletedProcess[str]:
    program(checkout / "commands" / "id", f"echo {user}")
    environment = {"PATH": str(checkout / "commands"), "TIDEGATE_PGBOUNCER_PREFIX": str(checkout / "opt")}
    return subprocess.run(
        [checkout / "tools" / "setup", "pgbouncer"], env=environment, capture_output=True, text=True, check=False
    )


def test_a_recent_one_is_fetched_and_found_the_next_time(checkout: Path) -> None:
    fetch = 'echo once >>fetched; mkdir -p "$1/bin"; echo "#!/bin/sh" >"$1/bin/pgbouncer"; chmod 755 "$1/bin/pgbouncer"'
    program(checkout / "bench" / "get_pgbouncer.sh", fetch)
    for _ in range(2):
        assert set_up(checkout, user=0).returncode == 0
    assert os.access(checkout / "opt" / "bin" / "pgbouncer", os.X_OK)
    assert (checkout / "fetched").read_text() == "once\n"


def test_debians_own_is_installed_where_that_fails(checkout: Path) -> None:
    program(checkout / "bench" / "get_pgbouncer.sh", "echo no mirror >&2; exit 1")
    install = 'case "$*" in *pgbouncer*) cp="$0.done"; echo "$*" >"$cp"; echo >"${0%/*}/pgbouncer";; esac'
    program(
        checkout / "commands" / "apt-get",
        f'{install}; [ ! -f "${{0%/*}}/pgbouncer" ] || chmod 755 "${{0%/*}}/pgbouncer"',
    )
    done = set_up(checkout, user=0)
    assert done.returncode == 0, done.stderr
    assert "install" in (checkout / "commands" / "apt-get.done").read_text()
    assert "Debian's own is older" in done.stderr
    assert "runs without" not in done.stderr


def test_a_machine_where_nothing_can_be_had_is_told_so_and_goes_on(checkout: Path) -> None:
    done = set_up(checkout, user=1000)
    assert done.returncode == 0, done.stderr
    assert "sudo apt-get install pgbouncer" in done.stderr
    assert "the bench runs without it" in done.stderr
