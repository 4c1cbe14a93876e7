"""`python -m fuzz`: all targets for about a minute, each in a process of its own; 1 if anything was found.

Owns processes, time limits and the folder `findings`. What was found is tried again with
`python -m fuzz --replay FILE`, whose name begins with its target's.

The corpus (`corpus/TARGET/`) is made anew by a long run with `--keep FOLDER`, then `--distil FOLDER`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz import campaign
from fuzz.distil import distil
from fuzz.targets import TARGETS

FINDINGS = Path(__file__).parent / "findings"
AT_ONCE = 2  # processes
HANG = 10.0  # seconds for one input
SANITIZERS = {
    # Python's own allocator hides reads past the end of small objects.
    "PYTHONMALLOC": "malloc",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:handle_segv=1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=50.0, help="for all targets together (50)")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=None, help="of the first process (random)")
    parser.add_argument("--keep", type=Path, help="folder for inputs that showed something new")
    parser.add_argument("--replay", type=Path, action="append", help="try this input, and nothing else")
    parser.add_argument("--distil", type=Path, help="choose the corpus anew, from itself and this folder of --keep")
    parser.add_argument("--current", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.replay:
        return replay(options.replay)
    if options.distil:
        return distil_corpus(options.target or list(TARGETS), options.distil)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    if options.current:
        return campaign.run(options.target[0], options.seconds, seed, options.current, options.keep)
    names = options.target or list(TARGETS)
    seconds = options.seconds * min(AT_ONCE, len(names)) / len(names)
    FINDINGS.mkdir(exist_ok=True)
    print(f"seed {seed}, {seconds:.1f} s each: {', '.join(names)}", file=sys.stderr)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda each: hunt(each[1], seconds, seed + each[0], options.keep), enumerate(names)))
    return int(any(found))


def replay(paths: Sequence[Path]) -> int:
    """Try inputs in this process."""
    for path in paths:
        name = next(name for name in TARGETS if path.name.startswith(name) or path.parent.name == name)
        print(f"{path}: {TARGETS[name].about}", file=sys.stderr)
        TARGETS[name].attempt(path.read_bytes())
    return 0


def distil_corpus(names: Sequence[str], kept: Path) -> int:
    """Choose the corpus of these targets in this process."""
    for name in names:
        sources = [*(campaign.CORPUS / name).glob("*"), *(kept / name).glob("*")]
        files = distil(TARGETS[name].attempt, sources, campaign.CORPUS / name)
        size = sum(path.stat().st_size for path in files)
        print(f"{name}: {len(files)} of {len(sources)} inputs, {size} bytes", file=sys.stderr)
    return 0


def hunt(name: str, seconds: float, seed: int, keep: Path | None) -> bool:
    """One target in a process of its own; True if it found something, which is then in `findings`."""
    current = FINDINGS / f".{name}-{os.getpid()}"
    command = [sys.executable, "-m", "fuzz", "--target", name, f"--seconds={seconds}", f"--seed={seed}"]
    command += [f"--current={current}"]
    if keep is not None:
        (keep / name).mkdir(parents=True, exist_ok=True)
        command += [f"--keep={keep / name}"]
    process = subprocess.Popen(command, env={**os.environ, **SANITIZERS}, stderr=subprocess.PIPE, text=True)
    with ThreadPoolExecutor(1) as reader:
        words = reader.submit(process.stderr.read)  # type: ignore[union-attr]  # it is a pipe
        hung = not ended(process, current, seconds)
        if hung:
            process.kill()
        failed = process.wait() != 0
        said = words.result()
    if not failed:
        print(said.rstrip(), file=sys.stderr)
        return False
    print(report(name, current, "no end in sight" if hung else said), file=sys.stderr)
    return True


def ended(process: subprocess.Popen[str], current: Path, seconds: float) -> bool:
    """Wait for the end; False if one input takes too long (or the process more than its time)."""
    limit = time.monotonic() + seconds + 2 * HANG
    while process.poll() is None:
        time.sleep(0.05)
        try:
            age = time.time() - current.stat().st_mtime
        except FileNotFoundError:
            age = 0.0
        if age > HANG or time.monotonic() > limit:
            return False
    return True


def report(name: str, current: Path, said: str) -> str:
    """Keep the input under a name of its own, and say where."""
    data = current.read_bytes() if current.exists() else b""
    kept = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    kept.write_bytes(data)
    current.unlink(missing_ok=True)
    return f"{said.rstrip()}\n{name}: FOUND; the input is {kept}"


if __name__ == "__main__":
    sys.exit(main())
