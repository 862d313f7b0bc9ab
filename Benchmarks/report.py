"""From measurements to figures: ratios beside their targets, shares of what the machine can do, and the tables."""

from dataclasses import dataclass

from engines import median

# What Dormouse's weights are held against: the peer's format of as many bits.
PEER_OF = {"int8": "Q8_0", "int4": "Q4_0"}

SHARE_OF_BANDWIDTH = 0.8  # target for decoding


@dataclass(frozen=True)
class Figure:
    """One ratio: Dormouse's value over the peer's, or the other way round for times, so that more is better."""

    name: str
    metric: str  # "decode", "prefill" or "load_seconds"
    weights: str
    prompt: int
    target: float | None


# Decoding after a prompt of 512 and of 4096 tokens, the prompts themselves, and loading.
FIGURES = [
    Figure("decode", "decode", "int8", 512, 1.6),
    Figure("decode", "decode", "int4", 512, 1.9),
    Figure("decode at depth 4,096", "decode", "int8", 4096, 1.7),
    Figure("decode at depth 4,096", "decode", "int4", 4096, 2.2),
    Figure("prefill 512", "prefill", "int8", 512, 2.4),
    Figure("prefill 512", "prefill", "int4", 512, 2.1),
    Figure("prefill 4,096", "prefill", "int8", 4096, 2.6),
    Figure("prefill 4,096", "prefill", "int4", 4096, None),
    Figure("load, seconds", "load_seconds", "int8", 512, 1.0),
    Figure("load, seconds", "load_seconds", "int4", 512, 1.0),
]


@dataclass(frozen=True)
class Ratio:
    """A figure with the medians behind it; None where nothing was measured."""

    figure: Figure
    peer: float | None
    dormouse: float | None

    @property
    def value(self) -> float | None:
        if not self.peer or not self.dormouse:
            return None
        return self.peer / self.dormouse if self.figure.metric == "load_seconds" else self.dormouse / self.peer

    @property
    def is_reached(self) -> bool | None:
        """None without a target or a value."""
        if self.value is None or self.figure.target is None:
            return None
        return self.value >= self.figure.target


def value_of(runs: list[dict], engine: str, weights: str, prompt: int, metric: str) -> float | None:
    """The median of a metric over the comparing runs of one engine on one workload."""
    values = [
        run[metric] for run in runs
        if run["series"] == "compare" and run["engine"] == engine and run["weights"] == weights
        and run["workload"]["prompt"] == prompt and run[metric] is not None
    ]  # fmt: skip
    return median(values)


def ratios(runs: list[dict]) -> list[Ratio]:
    """One for each of `FIGURES` of which anything was tried."""
    tried = {(run["weights"], run["workload"]["prompt"]) for run in runs if run["series"] == "compare"}
    result = []
    for figure in FIGURES:
        peer = PEER_OF[figure.weights]
        if tried.isdisjoint({(figure.weights, figure.prompt), (peer, figure.prompt)}):
            continue
        arguments = (figure.prompt, figure.metric)
        result.append(
            Ratio(
                figure,
                value_of(runs, "llama.cpp", peer, *arguments),
                value_of(runs, "Dormouse", figure.weights, *arguments),
            )
        )
    return result


@dataclass(frozen=True)
class Shares:
    """How close one kind of weights comes to what the machine can do, as medians; rates in 10^9 a second."""

    weights: str
    prompt: int
    decode: float | None
    bandwidth: float | None
    share_of_bandwidth: float | None
    prefill: float | None
    arithmetic: float | None
    share_of_arithmetic: float | None


def shares(runs: list[dict]) -> list[Shares]:
    """One for each kind of weights and prompt that Dormouse ran."""
    mine = [run for run in runs if run["series"] == "compare" and run["engine"] == "Dormouse" and run["details"]]
    kinds = dict.fromkeys((run["weights"], run["workload"]["prompt"]) for run in mine)
    return [
        _shares(weights, prompt, [run for run in mine if _kind(run) == (weights, prompt)]) for weights, prompt in kinds
    ]


def _kind(run: dict) -> tuple[str, int]:
    return run["weights"], run["workload"]["prompt"]


def _shares(weights: str, prompt: int, runs: list[dict]) -> Shares:
    def of(name: str, divisor: float = 1) -> float | None:
        value = median([run["details"][name] for run in runs if run["details"].get(name) is not None])
        return None if value is None else value / divisor

    return Shares(
        weights, prompt, median([run["decode"] for run in runs if run["decode"]]), of("weight_bytes_per_second", 1e9),
        of("share_of_bandwidth"), median([run["prefill"] for run in runs if run["prefill"]]),
        of("operations_per_second", 1e9), of("share_of_arithmetic"),
    )  # fmt: skip


def limits(runs: list[dict]) -> dict[str, list[float]]:
    """What the machine did at best in each run: "bandwidth" in GB/s, "arithmetic" in GFLOP/s."""
    mine = [run for run in runs if run["engine"] == "Dormouse" and run["series"] == "compare" and run["details"]]

    def of(name: str) -> list[float]:
        return [run["details"][name] / 1e9 for run in mine if run["details"].get(name)]

    return {"bandwidth": of("machine_bytes_per_second"), "arithmetic": of("machine_operations_per_second")}


def text(results: dict) -> str:
    """The whole report: Markdown that reads well as it is."""
    runs = results["runs"]
    parts = [_heading(results), _peer(runs), _ratio_table(ratios(runs)), _share_table(shares(runs)), _float8(runs)]
    parts += [_limits(limits(runs)), _disturbances(runs), _refusals(runs)]
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
            "-" if ratio.figure.target is None else f"{ratio.figure.target:.2f}x", marks[ratio.is_reached],
        ]
        for ratio in found
    ]  # fmt: skip
    return table(["tokens/s", "llama.cpp", "Dormouse", "ratio", "target", "reached"], rows) if rows else ""


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
    """Runs during which something else had more than a twentieth of the processors."""
    known = [run["disturbance"] for run in runs if run["disturbance"] is not None]
    disturbed = [share for share in known if share > 0.05]
    if not disturbed:
        return ""
    return (
        f"NOT IDLE: in {len(disturbed)} of {len(known)} runs others took more than 5 % of the processors, "
        f"up to {_percent(max(disturbed))}."
    )


def _refusals(runs: list[dict]) -> str:
    sentences = dict.fromkeys(f"{run['engine']} {run['weights']}: {run['refusal']}" for run in runs if run["refusal"])
    return "Not measured:\n" + "\n".join(f"- {sentence}" for sentence in sentences) if sentences else ""
