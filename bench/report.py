"""A run as Markdown tables: every number with its spread, every gap with its reason.

Owns the tables' form. Refuses to compute: numbers come from `stats` and `targets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench import targets
from bench.results import Results
from bench.stats import paired_ratios, spread
from bench.workloads.crowd import CLIENTS as CROWD

NO_NUMBER = "-"
_VERDICT = {"yes": "met", "no": "**missed**", "within noise": "within noise of the limit"}


def report(results: Results) -> str:
    """All tables of a run, in the order of the workloads, then the verdicts and what didn't run."""
    return "\n\n".join(text for part in PARTS if (text := part(results)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right. Empty without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|".join(["---", *["---:"] * (len(head) - 1)])
    return "\n".join([f"| {' | '.join(head)} |", f"|{rule}|", *lines]) if lines else ""


def with_spread(values: Sequence[float], form: str = ".2f") -> str:
    """`median (least-most)`, the median alone for a single round, or a dash for none."""
    if not values:
        return NO_NUMBER
    seen = spread(values)
    if seen.count == 1:
        return f"{seen.median:{form}}"
    return f"{seen.median:{form}} ({seen.least:{form}}-{seen.most:{form}})"


def _head(results: Results) -> str:
    machine, settings = results.machine, results.settings
    rounds = settings["rounds"]
    kind = f"short rounds ({rounds}), **not enough to judge by**" if settings["quick"] else f"{rounds} alternations"
    lines = [
        f"- Date: {results.date}; {kind}. Each number is the median over the rounds, with the smallest and the largest "
        "in brackets.",
        f"- Compared: {', '.join(results.contenders.values())}.",
        f"- Machine: {machine['processor']}, {machine['cores']} cores"
        f"{' (virtual)' if machine['hypervisor'] == 'yes' else ''}, {machine['memory']}; Linux {machine['kernel']}, "
        f"{machine['distribution']}; Python {machine['python']}; load average before the run {machine['load_before']}.",
        f"- Pool of {settings['pool_size']} server connections; the database takes {settings['max_connections']}; "
        f"pgbench's tables at scale {settings['scale']}.",
    ]
    return "\n".join([*lines, *_shortfalls(results)])


def _shortfalls(results: Results) -> list[str]:
    """What a reader must not have to look for: each target that is missed, and each that noise decides."""
    verdicts = list(targets.verdicts(results))
    lines = []
    for met, said in (("no", "Missed"), ("within noise", "Within noise of the limit")):
        ones = [f"{one.what} ({one.seen.median:,.2f}, limit {one.limit[3:]})" for one in verdicts if one.met == met]
        if ones:
            lines.append(f"- {said}: {'; '.join(ones)}.")
    return lines or ["- Every target is met."] * bool(verdicts)


def _transactions(results: Results) -> str:
    rows = []
    for case in results.cases("transactions"):
        ratios = targets.cpu_ratios(results, "transactions", case)
        protocol, clients = case.split()
        ours, theirs = (_values(results, "transactions", case, name, "cpu_us") for name in ("tidegate", "pgbouncer"))
        row = [f"{protocol}, {clients}", with_spread(ours, ".1f"), with_spread(theirs, ".1f"), with_spread(ratios)]
        rows.append([*row, f"<= {targets.cpu_limit(case):g}"])
    head = ("protocol, clients", "Tidegate, us", "PgBouncer, us", "ratio", "target")
    return _section("CPU per transaction (`pgbench -S`)", table(head, rows))


def _against(results: Results) -> str:
    rows = []
    for case in results.cases("transactions"):
        ours, theirs = (results.series("transactions", case, name, "cpu_us") for name in ("tidegate", "earlier"))
        ratios = paired_ratios(ours, theirs)
        if ratios:
            seen = spread(ratios)
            row = [
                case.replace(" ", ", "),
                with_spread([*ours.values()], ".1f"),
                with_spread([*theirs.values()], ".1f"),
            ]
            rows.append([*row, f"{seen.median:.3f}", f"{seen.lower:.3f}-{seen.upper:.3f}", str(seen.count)])
    head = ("protocol, clients", "this, us", "earlier, us", "ratio", "middle half", "rounds")
    return _section("CPU per transaction against an earlier Tidegate", table(head, rows))


def _throughput(results: Results) -> str:
    rows = [
        [
            case.replace(" ", ", "),
            *(with_spread(_values(results, "transactions", case, name, "tps"), ",.0f") for name in _sides(results)),
        ]
        for case in results.cases("transactions")
    ]
    note = (
        "The load generator and the database share the machine's cores with the proxy, so this is no measure of a "
        "proxy's capacity; it shows that the contenders did comparable work."
    )
    tabled = table(("protocol, clients", *_sides(results)), rows)
    return _section("Transactions a second in the same runs", f"{tabled}\n\n{note}" if tabled else "")


def _connect(results: Results) -> str:
    rows = []
    for case in results.cases("connect"):
        for name in _sides(results):
            times = targets.times_direct(results, case, name) if name != "direct" else []
            row = [with_spread(_values(results, "connect", case, name, "cpu_us"), ",.0f")]
            row += [with_spread(_values(results, "connect", case, name, "per_second"), ",.0f")]
            row += [with_spread(times, ".1f")]
            row += [
                with_spread([us / 1e3 for us in _values(results, "connect", case, name, quantile)], ".1f")
                for quantile in ("p50_us", "p99_us")
            ]
            row += [
                with_spread([100 * one for one in _values(results, "connect", case, name, "generator_share")], ".0f")
            ]
            rows.append([name, *row])
    head = (
        "",
        "CPU us per connection",
        "connections/s",
        "times direct",
        "p50, ms",
        "p99, ms",
        "generator, % of a core",
    )
    tabled = table(head, rows)
    ratios = [one for case in results.cases("connect") for one in targets.cpu_ratios(results, "connect", case)]
    ratio = f"\n\nCPU per connection, Tidegate to PgBouncer: {with_spread(ratios)}." if ratios else ""
    in_flight = ", ".join(results.cases("connect"))
    title = f"Connect + SCRAM + one query + close ({in_flight} in flight)"
    note = (
        "The direct figure is the CPU of all of PostgreSQL's processes and contains the query; a proxy's figure is its "
        "own CPU only."
    )
    return _section(title, f"{tabled}{ratio}\n\n{note}" if tabled else "")


def _latency(results: Results) -> str:
    rows = []
    for name in _sides(results):
        medians = _values(results, "latency", "1", name, "p50_us")
        added = list(targets.added_latency(results, name).values()) if name != "direct" else []
        tail = _values(results, "latency", "1", name, "p99_us")
        if medians:
            rows.append([name, with_spread(medians, ".1f"), with_spread(added, ".1f"), with_spread(tail, ".1f")])
    return _section("Latency at one client, simple protocol", table(("", "p50, us", "added, us", "p99, us"), rows))


def _memory(results: Results) -> str:
    rows = []
    for case in results.cases("memory"):
        for name in _sides(results):
            sizes = _values(results, "memory", case, name, "bytes_per_client")
            if sizes:
                base = [one / 2**20 for one in _values(results, "memory", case, name, "base_bytes")]
                rows.append([f"{name}, {case}", with_spread(sizes, ",.0f"), with_spread(base, ".1f")])
    head = ("", "bytes per idle client", "before any client, MiB")
    return _section("Memory (PSS over all processes, 5,000 idle clients)", table(head, rows))


def _outcome(results: Results, workload: str, case: str, contender: str) -> str:
    """ "no error", or what the notes say of it."""
    noted = [
        one.text for one in results.notes if (one.workload, one.case, one.contender) == (workload, case, contender)
    ]
    return noted[0] if noted else ""


def _orm(results: Results) -> str:
    rows = []
    for case in results.cases("orm"):
        for name in results.contenders:
            rates, waits, pins = (_values(results, "orm", case, name, value) for value in ("tps", "latency_ms", "pins"))
            if rates:
                row = [name, with_spread(rates, ",.0f"), with_spread(waits, ".0f"), with_spread(pins, ".0f")]
                rows.append(row)
    title = "An ORM: SET search_path, a transaction of prepared statements, 50 ms of thought; 100 clients"
    return _section(title, table(("", "transactions/s", "ms for all of it", "sessions pinned"), rows))


def _encrypted(results: Results) -> str:
    rows = []
    for case in results.cases("tls"):
        ours, theirs = (_values(results, "tls", case, name, "cpu_us") for name in ("tidegate", "pgbouncer"))
        ratios = with_spread(targets.cpu_ratios(results, "tls", case))
        rows.append([case.replace(" ", ", "), with_spread(ours, ".1f"), with_spread(theirs, ".1f"), ratios])
    work = table(("protocol, clients", "Tidegate, us", "PgBouncer, us", "ratio"), rows)
    shakes = []
    for name in ("tidegate", "pgbouncer"):
        for case in results.cases("handshakes"):
            found = [_values(results, "handshakes", case, name, value) for value in ("per_second", "cpu_us", "p99_us")]
            in_storm = ("p99_quiet_us", "p99_us", "p99_times", "longest_us")
            amid = [_values(results, "storm", case, name, value) for value in in_storm]
            if found[0]:
                forms = (*[",.0f"] * 5, ".2f", ",.0f")
                shown = (with_spread(one, form) for one, form in zip([*found, *amid], forms, strict=True))
                shakes.append([name, *shown])
    head = ("", "handshakes/s", "CPU us each", "p99, us")
    head += ("query p99 quiet, us", "amid the storm, us", "times", "longest, us")
    parts = [one for one in (work, table(head, shakes)) if one]
    return _section("Over TLS (1.3, P-256): CPU per transaction; full handshakes", "\n\n".join(parts))


def _crowd(results: Results) -> str:
    case = f"simple {CROWD}"
    rows = []
    for name in _sides(results):
        transactions, rates = (_values(results, "crowd", case, name, value) for value in ("transactions", "tps"))
        row = [_outcome(results, "crowd", case, name), with_spread(transactions, ",.0f"), with_spread(rates, ",.0f")]
        if row[0] or transactions:
            rows.append([name, row[0] or "no error", *row[1:]])
    return _section(f"pgbench with {CROWD:,} clients", table(("", "outcome", "transactions", "a second"), rows))


def _verdicts(results: Results) -> str:
    rows = [
        [one.what, f"{one.seen.median:,.2f} ({one.seen.least:,.2f}-{one.seen.most:,.2f})", one.limit, _VERDICT[one.met]]
        for one in targets.verdicts(results)
    ]
    note = (
        '"Within noise" means that the middle half of the rounds lies on both sides of the limit.'
        if any("noise" in row[-1] for row in rows)
        else ""
    )
    return _section("Targets", "\n\n".join(filter(None, (table(("target", "measured", "limit", ""), rows), note))))


def _notes(results: Results) -> str:
    lines = dict.fromkeys(f"- {one.workload}, {one.case}, {one.contender}: {one.text}" for one in results.notes)
    return _section("Not run, or failed", "\n".join(lines))


def _section(title: str, body: str) -> str:
    return f"### {title}\n\n{body}" if body else ""


def _sides(results: Results) -> list[str]:
    """Those that all workloads compare."""
    return [name for name in results.contenders if not name.endswith("-session")]


def _values(results: Results, workload: str, case: str, contender: str, value: str) -> list[float]:
    return list(results.series(workload, case, contender, value).values())


PARTS = (
    _head,
    _transactions,
    _against,
    _throughput,
    _connect,
    _latency,
    _memory,
    _crowd,
    _orm,
    _encrypted,
    _verdicts,
    _notes,
)
"""What a report is made of, in its order."""
