"""pgbench's closing lines, as its release 17 writes them."""

import pytest

from bench.processes import BenchError
from bench.workloads.closing import read_closing

BY_TIME = """\
transaction type: orm.sql
number of threads: 100
maximum number of tries: 1
duration: 8 s
number of transactions actually processed: 3051
number of failed transactions: 0 (0.000%)
latency average = 52.340 ms
latency stddev = 4.512 ms
initial connection time = 104.093 ms
tps = 381.520711 (without initial connection time)
""".splitlines()
BY_COUNT = [line.replace("3051", "3051/3051") for line in BY_TIME]


@pytest.mark.parametrize("lines", [BY_TIME, BY_COUNT], ids=["by time", "by count"])
def test_all_is_read(lines: list[str]) -> None:
    assert read_closing(lines) == {"transactions": 3051, "failed": 0, "latency_ms": 52.34, "tps": 381.520711}


def test_a_failed_transaction() -> None:
    with pytest.raises(BenchError, match="every transaction"):
        read_closing([line.replace("transactions: 0 (0.000%)", "transactions: 3 (0.098%)") for line in BY_TIME])


def test_fewer_than_asked_for() -> None:
    with pytest.raises(BenchError, match="every transaction"):
        read_closing([line.replace("3051", "3051/4000") for line in BY_TIME])


def test_a_line_that_is_not_there() -> None:
    with pytest.raises(BenchError, match="did not say tps"):
        read_closing(BY_TIME[:-1])
