"""docs/aws.md, "Five minutes", typed as it stands: bash, the aws CLI and psql."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import Postgres
from tests.support.stack import Stack
from tidegate.demo.postgres import PASSWORD, SUPERUSER, bundled_binaries

PAGE = (Path(__file__).parents[3] / "docs" / "aws.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Five minutes\n")[2].partition("\n## ")[0]
SERVE, *BLOCKS = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
CONNECT = BLOCKS[-1][BLOCKS[-1].index("PGPASSWORD=") :]
LATER = re.findall(r"`(aws [^`]+)`", SECTION)
"""What the text after the commands tells to try: a rotation, then a revocation."""


class Shell:
    """A folder in which the program was started with `--data ./state`, and somebody's PATH."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        (folder / "state").symlink_to(stack.data)
        tools = (str(Path(sys.executable).parent), str(bundled_binaries()), os.environ["PATH"])
        self._folder = folder
        self._environment = {"PATH": ":".join(tools), "HOME": str(folder), "LANG": "C.UTF-8", "AWS_PAGER": ""}

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Whatever comes of it; the first command that fails is the last."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )


@pytest.mark.timeout(300)
def test_as_it_stands(database: Postgres, tmp_path: Path) -> None:
    """Then what the text tells to try: a rotation that nobody notices, a kill, a revocation."""
    assert SERVE.strip() == "tidegate serve --api 127.0.0.1:4566 --data ./state"
    rotate, revoke = LATER
    script = "".join(BLOCKS)
    for printed, own in (
        ("DB=127.0.0.1:5433 ", f"DB={database.host}:{database.port} "),
        ("--master-username postgres --master-user-password postgres ",
         f"--master-username {SUPERUSER} --master-user-password {PASSWORD} "),
    ):  # fmt: skip
        assert script.count(printed) == 1, printed
        script = script.replace(printed, own)
    preamble = script[: script.index("SECRET=")]
    with Stack() as stack:
        shell = Shell(stack, tmp_path)
        first = shell.run(script + "declare -p HOST TOKEN > variables\n")
        assert (first.returncode, first.stderr) == (0, ""), first.stderr
        assert first.stdout.count("app") >= 1 and "(1 row)" in first.stdout

        again = f"{preamble}\n. ./variables\n"
        assert shell.run(f"{again}{rotate}").returncode == 0
        stack.kill()
        stack.start()
        after = shell.run(again + CONNECT)
        assert (after.returncode, after.stderr) == (0, ""), after.stderr
        assert shell.run(f"{again}{revoke}").returncode == 0
        refused = shell.run(again + CONNECT)
        assert refused.returncode != 0
        assert 'IAM authentication failed for the role "app"' in refused.stderr
