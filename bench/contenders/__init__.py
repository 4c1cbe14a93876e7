"""What is compared: the database itself and the proxies before it, each behind the same few verbs."""

from bench.contenders.base import Contender, Login, Setup
from bench.contenders.direct import Direct
from bench.contenders.pgbouncer import PgBouncer, SessionPgBouncer
from bench.contenders.tidegate import EarlierTidegate, Tidegate

__all__ = ["Contender", "Direct", "EarlierTidegate", "Login", "PgBouncer", "SessionPgBouncer", "Setup", "Tidegate"]
