"""What a run found, for people and (as JSON) for programs."""

import dataclasses
import json
import statistics

import measure

DRIFT_MAX = 0.05
STOLEN_MAX = 0.01
ROUNDS_MIN = 3


@dataclasses.dataclass
class Cell:
    """One proxy in one case, over the rounds that count."""
    name: str
    void: str = ""               # why its figures are worth nothing
    cpu_us: float = 0.0          # a request, median of the rounds
    rate: float = 0.0
    busy: float = 0.0            # share of its CPU that it used
    rss_mib: float = 0.0
    syscalls: float = 0.0        # a request; 0: not counted
    calls: dict = dataclasses.field(default_factory=dict)
    instructions: float = 0.0
    to_null: measure.Ratio = None
    tenbin_to: measure.Ratio = None


def quiet_rounds(rounds):
    """The rounds in which the machine was ours, and why the others were not.

    A round is dropped when the host took time away or the null relay, which never changes, cost
    another amount than usual. When that leaves too few, all are kept and the report says so.
    """
    nulls = [r["null"].cpu_per_request for r in rounds if "null" in r and not r["null"].error]
    usual = statistics.median(nulls) if nulls else None
    kept = []
    for samples in rounds:
        stolen = max(sample.stolen for sample in samples.values())
        null = samples.get("null")
        drift = abs(null.cpu_per_request / usual - 1) if null and usual and not null.error else 0
        if stolen <= STOLEN_MAX and drift <= DRIFT_MAX:
            kept.append(samples)
    if len(kept) == len(rounds):
        return rounds, ""
    if len(kept) < ROUNDS_MIN:
        return rounds, f"noisy: only {len(kept)} of {len(rounds)} rounds were quiet, all are kept"
    return kept, f"{len(rounds) - len(kept)} of {len(rounds)} rounds dropped as disturbed"


def ratio_of(rounds, above, below):
    pairs = [(r[above], r[below]) for r in rounds if above in r and below in r]
    return measure.ratio([a.cpu_per_request / b.cpu_per_request for a, b in pairs])


def make_cells(rounds, names):
    """Cells of a case from its rounds; an error in any round voids the cell."""
    cells = {}
    for name in names:
        samples = [r[name] for r in rounds if name in r]
        error = next((s.error for s in samples if s.error), "" if samples else "not measured")
        cells[name] = Cell(name, void=error)
    good = [name for name in names if not cells[name].void]
    rounds, note = quiet_rounds([{n: r[n] for n in good if n in r} for r in rounds]) \
        if good else (rounds, "")
    for name in good:
        samples = [r[name] for r in rounds]
        cell = cells[name]
        cell.cpu_us = statistics.median(s.cpu_per_request for s in samples) / 1e3
        cell.rate = statistics.median(s.rate for s in samples)
        cell.busy = statistics.median(s.cpu_ns / s.seconds for s in samples) / 1e9
        if name != "null" and "null" in good:
            cell.to_null = ratio_of(rounds, name, "null")
        if name != "tenbin" and "tenbin" in good:
            cell.tenbin_to = ratio_of(rounds, "tenbin", name)
    return cells, note


def _ratio(value):
    if not value:
        return "-"
    interval = f"[{value.low:.2f} {value.high:.2f}]" if value.low else "[too few]"
    return f"{value.median:.2f} {interval}"


def _number(value, shape):
    return format(value, shape) if value else "-"


COST_HEAD = ("proxy", "us/req", "/ null", "tenbin / it", "req/s", "CPU", "RSS MiB", "calls/req",
             "Ir/req")


def cost_row(cell):
    if cell.void:
        return (cell.name, f"void: {cell.void}")
    return (cell.name, f"{cell.cpu_us:.2f}", _ratio(cell.to_null), _ratio(cell.tenbin_to),
            f"{cell.rate:.0f}", f"{cell.busy:.0%}", f"{cell.rss_mib:.1f}",
            _number(cell.syscalls, ".2f"), _number(cell.instructions, ".0f"))


LATENCY_HEAD = ("proxy", "us/req", "/ null", "tenbin / it", "p50 us", "p99 us", "p99.9 us",
                "max us")
QUANTILES = ("p50_us", "p99_us", "p999_us", "max_us")


def latencies(rounds, name):
    """The median round of each quantile; the worst of the maxima."""
    found = {}
    for key in QUANTILES:
        values = [r[name].latency[key] for r in rounds if name in r and r[name].latency]
        if values:
            found[key] = max(values) if key == "max_us" else statistics.median(values)
    return found


def latency_row(cell, quantiles):
    if cell.void:
        return (cell.name, f"void: {cell.void}")
    return (cell.name, f"{cell.cpu_us:.2f}", _ratio(cell.to_null), _ratio(cell.tenbin_to),
            *(f"{quantiles[key]:.0f}" for key in QUANTILES))


def print_table(head, rows):
    columns = [[head[i]] + [row[i] for row in rows if len(row) == len(head)]
               for i in range(len(head))]
    widths = [max(map(len, column)) for column in columns]
    widths[0] = max(widths[0], *(len(row[0]) for row in rows))
    for row in [head, *rows]:
        if len(row) != len(head):
            print(f"  {row[0]:<{widths[0]}}  {row[1]}")
            continue
        first, *rest = zip(row, widths)
        print("  " + "  ".join([f"{first[0]:<{first[1]}}", *(f"{t:>{w}}" for t, w in rest)]))
    print(flush=True)


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, default=dataclasses.asdict) + "\n")
