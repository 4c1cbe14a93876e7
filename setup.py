"""Builds the compiled part; everything else about the package is in pyproject.toml.

TIDEGATE_EXT=tidegate.auth.*   build only the modules that match (while working on one)
TIDEGATE_SANITIZE=1            AddressSanitizer and UBSan build, for `make fuzz` and fault hunting
TIDEGATE_STRICT=1              take any warning of Cython or gcc for an error (tools/setup does)
TIDEGATE_ANNOTATE=1            write Cython's annotated HTML beside each module
"""

import fnmatch
import os
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

SOURCE = Path("src")
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-missing-field-initializers",
    "-Wno-unused-function",
    "-Wno-cast-function-type",
]
STRICT = bool(os.environ.get("TIDEGATE_STRICT"))
SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]


def extensions() -> list[Extension]:
    """Every .pyx under src, and every .py that has an augmenting .pxd beside it."""
    wanted = os.environ.get("TIDEGATE_EXT", "*")
    warnings = [*WARNINGS, *(["-Werror"] if STRICT else [])]
    compile_args = ["-O2", *warnings]
    link_args: list[str] = []
    if os.environ.get("TIDEGATE_SANITIZE"):
        compile_args, link_args = ["-O1", *warnings, *SANITIZE], SANITIZE
    found = []
    for path in sorted([*SOURCE.rglob("*.pyx"), *SOURCE.rglob("*.py")]):
        if path.suffix == ".py" and (path.name == "__init__.py" or not path.with_suffix(".pxd").exists()):
            continue
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        if fnmatch.fnmatch(name, wanted):
            found.append(
                Extension(
                    name,
                    [str(path)],
                    libraries=["ssl", "crypto"] if "openssl" in path.read_text(encoding="utf-8") else [],
                    extra_compile_args=compile_args,
                    extra_link_args=link_args,
                )
            )
    return found


Options.warning_errors = STRICT

setup(
    ext_modules=cythonize(
        extensions(),
        annotate=bool(os.environ.get("TIDEGATE_ANNOTATE")),
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "warn.maybe_uninitialized": True,
            "warn.unused": True,
            "warn.unused_result": False,
        },
    ),
)
