"""What is run against each contender, one module a question."""

from bench.workloads.base import Bench, Workload
from bench.workloads.connect import Connect
from bench.workloads.crowd import Crowd
from bench.workloads.latency import Latency
from bench.workloads.memory import Memory
from bench.workloads.orm import Orm
from bench.workloads.transactions import Transactions

WORKLOADS: dict[str, type[Workload]] = {
    workload.name: workload for workload in (Transactions, Connect, Latency, Memory, Crowd, Orm)
}
"""By name, in the order in which they run."""

__all__ = ["WORKLOADS", "Bench", "Workload"]
