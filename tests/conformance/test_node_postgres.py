"""node-postgres as published; its work is node/work.js, its packages are put there by `tools/setup node`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.sides import Side

FOLDER = Path(__file__).with_name("node")
CLIENTS = 12
WORKS = ["named", "types", "transactions", "settings", "queued", "cursor", "suspended", "cancel", "notify", "pool"]


@pytest.fixture(scope="module")
def node() -> str:
    """The interpreter; the packages are there or installed now, as the lock file says."""
    program = shutil.which("node")
    assert program is not None, "node is not installed: run tools/setup node"
    if not (FOLDER / "node_modules" / "pg").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=FOLDER, check=True)
    return program


def run(node: str, side: Side, work: str) -> list[object]:
    done = subprocess.run(
        [node, "work.js", work, str(CLIENTS)],
        cwd=FOLDER,
        env={**os.environ, **side.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert isinstance(results, list) and len(results) == CLIENTS
    return results


@pytest.mark.parametrize("work", WORKS)
def test_same_work(node: str, direct: Side, proxied: Side, churned: None, work: str) -> None:
    assert run(node, proxied, work) == run(node, direct, work)
