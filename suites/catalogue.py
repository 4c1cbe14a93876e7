"""Which suites there are: where each comes from, what it needs, how it is started.

Owns their names, versions and hashes. Refuses to fetch them (`sources`) and to run them (`running`).

Versions are pinned, since a list of differences only holds for one: raise them here, run `make suites`, and bring the
list in docs/transparency.md up to what it finds. A hash is that of the source distribution on PyPI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.sides import Side

USER = "suite"
"""The role that suites log in as: a superuser, since they make extensions and roles."""


@dataclass(frozen=True)
class Source:
    """A source distribution on PyPI."""

    project: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version}"


@dataclass(frozen=True)
class Database:
    """A database that a suite expects to find, with what must be in it."""

    name: str
    statements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """What a suite's command is made from: the environment's Python, where it runs, on which side, what it writes."""

    python: Path
    folder: Path
    side: Side
    results: Path


@dataclass(frozen=True)
class Suite:
    """One run of published tests.

    `requirements` are installed beside the distribution itself into an environment that is shared by all suites of the
    same `source`. `command` makes the command line, `environment` what is added to the environment variables. `servers`
    is how many server connections there are: as many as the suite needs at one moment, pinned ones included, and as few
    as that allows. `keeps` are parts of the distribution that the run sees (all of it if empty). It `installs` the
    distribution, unless the tests take it from beside them, or a wheel of it is required.
    """

    name: str
    source: Source
    requirements: tuple[str, ...]
    command: Callable[[Run], list[str]]
    databases: tuple[Database, ...]
    servers: int
    environment: Callable[[Run], Mapping[str, str]] = lambda run: {}
    keeps: tuple[str, ...] = ()
    installs: bool = True
    user: str = USER
    settings: Mapping[str, str | int] = field(default_factory=dict)


SQLALCHEMY = Source("SQLAlchemy", "2.1.9", "d700a8b2edfb26282a470333d6bc4a454c4acda4d201a3bea7b72fa76c217d28")
DJANGO = Source("Django", "5.2.19", "ad03d8abc51dbff95ebf34b27123cf0c26a3b62db7ba0cd520783686362533d1")
ASYNCPG = Source("asyncpg", "0.32.0", "45e64e56714d888330b884aad1dfb363d0bf43fb343e3d1a8968525f3bade478")
PSYCOPG2 = Source("psycopg2", "2.9.13", "d36784fc2dae69523ba4b79c7d1d1b4d6e83e87836874f111262f4db940b16a6")

PYTEST = ("pytest==9.2.0", "pytest-timeout==2.4.0")
PSYCOPG = "psycopg[binary]==3.3.9"
PSYCOPG2_BINARY = "psycopg2-binary==2.9.13"

_DIALECT = ("test/dialect/postgresql",)
_ANY_DIALECT = ("test/dialect/test_suite.py",)
_ENGINE = (
    "test/engine/test_transaction.py",
    "test/engine/test_execute.py",
    "test/engine/test_reconnect.py",
    "test/ext/asyncio",
)

_ALCHEMIST = Database(
    "sqlalchemy",
    (
        "ALTER DATABASE sqlalchemy SET default_text_search_config = 'pg_catalog.english'",
        "CREATE SCHEMA test_schema",
        "CREATE SCHEMA test_schema_2",
        "CREATE EXTENSION hstore",
        "CREATE EXTENSION citext",
    ),
)


def _pytest(run: Run, *arguments: str) -> list[str]:
    quiet = ("-q", "-p", "no:cacheprovider", f"--junitxml={run.results}", "--timeout=120")
    return [str(run.python), "-m", "pytest", *quiet, *arguments]


def _sqlalchemy(driver: str, *tests: str) -> Callable[[Run], list[str]]:
    return lambda run: _pytest(
        run, "--maxfail=100000", f"--dburi={run.side.url(f'postgresql+{driver}')}", "--backend-only", *tests
    )


def _alchemy(driver: str, tests: tuple[str, ...], servers: int, suffix: str = "") -> Suite:
    return Suite(
        name=f"sqlalchemy{suffix}-{driver.replace('_', '-')}",
        source=SQLALCHEMY,
        requirements=(*PYTEST, PSYCOPG, PSYCOPG2_BINARY, ASYNCPG.requirement, "greenlet", "typing-extensions"),
        installs=False,
        command=_sqlalchemy(driver, *tests),
        databases=(_ALCHEMIST,),
        servers=servers,
        settings={"max_prepared_transactions": 10},
    )


def _django(*labels: str) -> Callable[[Run], list[str]]:
    return lambda run: [
        str(run.python),
        "tests/runtests.py",
        "--settings=suite_settings",
        "--parallel=1",
        "--noinput",
        "--keepdb",
        *labels,
    ]


def _djangos(name: str, *labels: str) -> Suite:
    return Suite(
        name=name,
        source=DJANGO,
        requirements=("psycopg[binary,pool]==3.3.9", "jinja2==3.1.6", "pytz==2026.6"),
        command=_django(*labels),
        environment=_django_environment,
        databases=(Database("suite", _DJANGOS_NEEDS), Database("suite_other", _DJANGOS_NEEDS)),
        servers=6,
    )


def _django_environment(run: Run) -> Mapping[str, str]:
    return {
        **run.side.environment(),
        "PYTHONPATH": str(Path(__file__).parent / "django_runner"),
        "SUITE_RESULTS": str(run.results),
        "PYTHONWARNINGS": "ignore",
    }


# What Django's tests want to find before they begin, and the embedded PostgreSQL does not have: an extension that they
# make first and use no more since PostgreSQL 13 (a row says that it is there), and a collation of ICU.
_DJANGOS_NEEDS = (
    "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)"
    " VALUES (99999, 'uuid-ossp', 10, 2200, true, '1.1')",
    'CREATE COLLATION "sv-x-icu" FROM "C"',
)

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        _alchemy("psycopg", _DIALECT, 6),
        _alchemy("psycopg2", _DIALECT, 6),
        _alchemy("asyncpg", _DIALECT, 6),
        _alchemy("psycopg", _ANY_DIALECT, 6, "-any"),
        _alchemy("psycopg2", _ANY_DIALECT, 6, "-any"),
        _alchemy("asyncpg", _ANY_DIALECT, 6, "-any"),
        _alchemy("psycopg", _ENGINE, 6, "-engine"),
        _alchemy("asyncpg", _ENGINE, 6, "-engine"),
        _djangos("django", "backends", "transactions", "postgres_tests", "transaction_hooks", "select_for_update"),
        _djangos("django-schema", "schema", "migrations", "introspection", "inspectdb", "indexes", "constraints"),
        _djangos(
            "django-queries", "queries", "lookup", "expressions", "db_functions", "aggregation", "bulk_create", "cache"
        ),
        Suite(
            name="asyncpg",
            source=ASYNCPG,
            requirements=(*PYTEST, "distro==1.9.0"),
            command=lambda run: _pytest(run, "tests"),
            environment=lambda run: run.side.environment(),
            keeps=("tests", "pyproject.toml"),
            databases=(Database("suite"),),
            servers=12,
            user="postgres",
        ),
        Suite(
            name="psycopg2",
            source=PSYCOPG2,
            requirements=(*PYTEST, PSYCOPG2_BINARY),
            installs=False,
            command=lambda run: _pytest(run, "tests"),
            environment=lambda run: {
                **run.side.environment(),
                "PSYCOPG2_TESTDB": run.side.database,
                "PSYCOPG2_TESTDB_HOST": run.side.host,
                "PSYCOPG2_TESTDB_PORT": str(run.side.port),
                "PSYCOPG2_TESTDB_USER": run.side.user,
            },
            keeps=("tests",),
            databases=(Database("suite", ("CREATE EXTENSION hstore",)),),
            servers=6,
            settings={"max_prepared_transactions": 10},
        ),
    )
}
