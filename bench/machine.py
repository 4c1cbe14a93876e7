"""Facts of the machine that a reader needs to judge the numbers."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """Processor, cores, memory, kernel, distribution, Python, and the load average before the run."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.0f} GiB",
        "kernel": platform.release(),
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "python": platform.python_version(),
        "hypervisor": "yes" if "hypervisor" in _field("/proc/cpuinfo", "flags") else "no",
        "sched_autogroup": _text("/proc/sys/kernel/sched_autogroup_enabled"),
        "load_before": " ".join(_text("/proc/loadavg").split()[:3]),
    }


def _field(path: str, name: str) -> str:
    """The value of the first `name : value` line; "unknown" when the kernel doesn't tell."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _text(path: str) -> str:
    file = Path(path)
    return file.read_text().strip() if file.exists() else "unknown"
