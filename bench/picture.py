"""A run as one SVG: ratios of CPU with their spread, connections a second, memory per client."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import targets
from bench.results import Results
from bench.stats import spread

_COLOURS = {"direct": "#8c8c8c", "tidegate": "#0b6e99", "pgbouncer": "#c0752a"}
_PROTOCOL_COLOURS = {"simple": "#0b6e99", "extended": "#4c9f70", "prepared": "#8e5ba6"}


def draw(results: Results, path: Path) -> None:
    """Write the picture; the same results give the same bytes."""
    matplotlib.rcParams["svg.hashsalt"] = "tidegate"
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    ratios, connects, memory = figure.subplots(1, 3, width_ratios=(2.2, 1, 1))
    _ratios(ratios, results)
    _bars(connects, results, "connect", next(iter(results.cases("connect")), ""), "per_second")
    connects.set_title("connect + SCRAM + query, per second", fontsize=10)
    _bars(memory, results, "memory", "0 statements", "bytes_per_client")
    memory.set_title("bytes per idle client", fontsize=10)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _ratios(axes: Axes, results: Results) -> None:
    """Points: median over the rounds; bars: smallest to largest. One group per number of clients."""
    cases = [case for case in results.cases("transactions") if targets.cpu_ratios(results, "transactions", case)]
    clients = list(dict.fromkeys(case.split()[1] for case in cases))
    labelled = set()
    for case in cases:
        protocol, count = case.split()
        seen = spread(targets.cpu_ratios(results, "transactions", case))
        place = clients.index(count) + 0.2 * ([*_PROTOCOL_COLOURS].index(protocol) - 1)
        axes.errorbar(
            place,
            seen.median,
            yerr=[[seen.median - seen.least], [seen.most - seen.median]],
            fmt="o",
            color=_PROTOCOL_COLOURS[protocol],
            capsize=3,
            label=None if protocol in labelled else protocol,
        )
        labelled.add(protocol)
    axes.axhline(1.0, color="#444444", linewidth=1)
    axes.axhline(targets.CPU_RATIO_MANY, color="#444444", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(clients)), [f"{count} client{'s' if count != '1' else ''}" for count in clients])
    axes.set_ylim(0, max(1.1, axes.get_ylim()[1]))
    axes.set_title("CPU per transaction, Tidegate / PgBouncer (lower is better)", fontsize=10)
    if labelled:
        axes.legend(frameon=False, loc="lower left", ncols=3)


def _bars(axes: Axes, results: Results, workload: str, case: str, value: str) -> None:
    """A bar for the median of each contender that has one, its number above; lines: smallest to largest."""
    series = {name: list(results.series(workload, case, name, value).values()) for name in results.contenders}
    shown = [name for name, values in series.items() if values]
    for place, name in enumerate(shown):
        seen = spread(series[name])
        error = [[seen.median - seen.least], [seen.most - seen.median]]
        axes.bar(place, seen.median, 0.6, yerr=error, capsize=3, color=_COLOURS[name])
        number = f"{seen.median:,.0f}"
        axes.annotate(number, (place, seen.most), (0, 4), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks(range(len(shown)), shown)
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)
