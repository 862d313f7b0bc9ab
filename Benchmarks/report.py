"""The report of a benchmark: tables of figures, and what stands in the way of trusting them."""

from engines import median
from figures import (
    MOST_DISTURBANCE,
    PEER_OF,
    SHARE_OF_BANDWIDTH,
    SWEEPS,
    MemoryRatio,
    Ratio,
    Shares,
    is_disturbed,
    limits,
    ratios,
    ratios_by_memory,
    shares,
    undisturbed,
    value_of,
)


def text(results: dict) -> str:
    """The whole report: Markdown that reads well as it is."""
    everything = results["runs"]
    runs = undisturbed(everything)
    parts = [_heading(results), _peer(runs), _ratio_table(ratios(runs)), _memory_table(ratios_by_memory(runs))]
    parts += [_share_table(shares(runs)), _float8(runs)]
    parts += [_sweep_table(runs)]
    parts += [_limits(limits(runs)), _disturbances(everything), _refusals(everything)]
    if not results.get("finished"):
        parts.append("The run was interrupted: these are the figures up to there.")
    return "\n\n".join(part for part in parts if part)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: list[str]) -> str:
        aligned = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths))
        ]
        return "| " + " | ".join(aligned) + " |"

    rule = ["-" * width if index == 0 else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def number(value: float | None) -> str:
    """Three digits that count, or a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _heading(results: dict) -> str:
    machine, model = results["machine"], results["model"]
    return (
        f"{machine['processor']}, {results['threads']} threads; {model['layers']} layers, "
        f"{model['parameters'] / 1e9:.2f} G parameters; {results['rounds']} rounds, medians; {results['started']}"
    )


def _peer(runs: list[dict]) -> str:
    """Which build of the peer it was: the features decide how fast it can be."""
    for run in runs:
        if run["engine"] == "llama.cpp" and run["details"]:
            features = [word.split(" = ")[0] for word in run["details"]["features"].split("|") if " = 1" in word]
            return (
                f"llama.cpp: {run['details']['package']}, {', '.join(word.split(':')[-1].strip() for word in features)}"
            )
    return ""


def _ratio_table(found: list[Ratio]) -> str:
    marks = {True: "yes", False: "no", None: "-"}
    rows = [
        [
            f"{ratio.figure.name}, {ratio.figure.weights} vs {PEER_OF[ratio.figure.weights]}",
            number(ratio.peer), number(ratio.dormouse),
            "-" if ratio.value is None else f"{ratio.value:.2f}x",
            "-" if ratio.figure.target is None else f"{ratio.figure.target:.2f}x",
            "-" if ratio.most is None else f"{ratio.most:.2f}x", marks[ratio.is_reached],
        ]
        for ratio in found
    ]  # fmt: skip
    return (
        table(["tokens/s", "llama.cpp", "Dormouse", "ratio", "target", "bandwidth allows", "reached"], rows)
        if rows
        else ""
    )


def _memory_table(found: list[MemoryRatio]) -> str:
    """What decoding depends on most, where a virtual machine's memory changes from run to run."""
    rows = [
        [
            f"{entry.ratio.figure.name}, {entry.ratio.figure.weights} vs {PEER_OF[entry.ratio.figure.weights]}",
            f"{entry.memory}, {number(entry.bandwidth / 1e9)} GB/s", f"{entry.peer_count}, {entry.dormouse_count}",
            number(entry.ratio.peer), number(entry.ratio.dormouse), f"{entry.ratio.value:.2f}x",
        ]
        for entry in found
    ]  # fmt: skip
    header = ["runs that met the same memory", "memory", "runs", "llama.cpp", "Dormouse", "ratio"]
    return table(header, rows) if rows else ""


def _share_table(found: list[Shares]) -> str:
    rows = [
        [
            f"{row.weights}, prompt {row.prompt:,}", number(row.decode), number(row.bandwidth),
            _percent(row.share_of_bandwidth), number(row.prefill), number(row.arithmetic),
            _percent(row.share_of_arithmetic),
        ]
        for row in found
    ]  # fmt: skip
    header = ["Dormouse", "decode", "GB/s", "of bandwidth", "prefill", "GFLOP/s", "of peak"]
    wanted = f"Target for decoding after 512 tokens: {_percent(SHARE_OF_BANDWIDTH)} of the bandwidth."
    return table(header, rows) + "\n\n" + wanted if rows else ""


def _sweep_table(runs: list[dict]) -> str:
    """What was measured along depth, threads, tokens at once and instruction sets."""
    rows = [
        [
            f"{run['series']}: {run['engine']} {run['weights']}", _instruction_set(run),
            str(run["threads"]), f"{run['workload']['depth']:,}", str(run["workload"]["prompt"]),
            number(run["prefill"]), number(run["decode"] if run["workload"]["gen"] > 1 else None),
        ]
        for run in runs if run["series"] in SWEEPS and not run["refusal"]
    ]  # fmt: skip
    header = ["sweep", "set", "threads", "depth", "tokens at once", "prefill", "decode"]
    return table(header, rows) if rows else ""


def _instruction_set(run: dict) -> str:
    return (run["details"] or {}).get("instruction_set", "-")


def _float8(runs: list[dict]) -> str:
    """fp8 decodes beside bf16."""
    fp8, native = (value_of(runs, "Dormouse", weights, 512, "decode") for weights in ("fp8", "native"))
    return f"fp8 decodes at {fp8 / native:.2f}x bf16's tokens/s (target 1.50x)." if fp8 and native else ""


def _limits(found: dict[str, list[float]]) -> str:
    if not found["bandwidth"] or not found["arithmetic"]:
        return ""
    bandwidth, arithmetic = found["bandwidth"], found["arithmetic"]
    return (
        f"The machine read {_spread(bandwidth)} GB/s and computed {_spread(arithmetic)} GFLOP/s in float32, "
        f"measured in each of {len(bandwidth)} runs."
    )


def _spread(values: list[float]) -> str:
    return f"{number(median(values))} ({number(min(values))} to {number(max(values))})"


def _disturbances(runs: list[dict]) -> str:
    disturbed = [run["disturbance"] for run in runs if is_disturbed(run)]
    if not disturbed:
        return ""
    return (
        f"NOT IDLE: in {len(disturbed)} of {len(runs)} runs others took more than {_percent(MOST_DISTURBANCE)} of the "
        f"processors, up to {_percent(max(disturbed))}. They are left out where the same was measured undisturbed."
    )


def _refusals(runs: list[dict]) -> str:
    sentences = dict.fromkeys(f"{run['engine']} {run['weights']}: {run['refusal']}" for run in runs if run["refusal"])
    return "Not measured:\n" + "\n".join(f"- {sentence}" for sentence in sentences) if sentences else ""
