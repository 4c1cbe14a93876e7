"""What is run against each contender, one module a question."""

from bench.workloads.base import Bench, Workload
from bench.workloads.connect import Connect
from bench.workloads.crowd import Crowd
from bench.workloads.encrypted import Encrypted, Handshakes, Storm
from bench.workloads.latency import Latency
from bench.workloads.memory import Memory
from bench.workloads.orm import Orm
from bench.workloads.transactions import Transactions

_ALL = (Transactions, Connect, Latency, Memory, Crowd, Orm, Encrypted, Handshakes, Storm)
WORKLOADS: dict[str, type[Workload]] = {workload.name: workload for workload in _ALL}
"""By name, in the order in which they run."""

__all__ = ["WORKLOADS", "Bench", "Workload"]
