"""From measurements to figures: ratios beside their targets, and shares of what the machine can do."""

from dataclasses import dataclass

from engines import median

# What Dormouse's weights are held against: the peer's format of as many bits.
PEER_OF = {"int8": "Q8_0", "int4": "Q4_0"}

SWEEPS = ("depth", "threads", "batch", "sets")  # series of runs along an axis

SHARE_OF_BANDWIDTH = 0.8  # target for decoding


@dataclass(frozen=True)
class Figure:
    """One ratio: Dormouse's value over the peer's, or the other way round for times, so that more is better."""

    name: str
    metric: str  # "decode", "prefill" or "load_seconds"
    weights: str
    prompt: int
    target: float | None
    series: str = "compare"  # where Dormouse's value comes from; the peer's is always from there


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
    # The peer reads a file of packed weights. The first time, Dormouse reads bf16 and packs; then it has such a file too.
    Figure("load packed weights, seconds", "load_seconds", "int8", 512, 1.0, "packed"),
    Figure("load packed weights, seconds", "load_seconds", "int4", 512, 1.0, "packed"),
    Figure("load bf16 and pack, seconds", "load_seconds", "int8", 512, None),
    Figure("load bf16 and pack, seconds", "load_seconds", "int4", 512, None),
]


@dataclass(frozen=True)
class Ratio:
    """A figure with the medians behind it; None where nothing was measured."""

    figure: Figure
    peer: float | None
    dormouse: float | None
    most: float | None = None  # the ratio if decoding read at the machine's bandwidth; None for the other metrics

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


# A run during which others took more of the processors than this tells little about an engine.
MOST_DISTURBANCE = 0.05


def is_disturbed(run: dict) -> bool:
    return run["disturbance"] is not None and run["disturbance"] > MOST_DISTURBANCE


def undisturbed(runs: list[dict]) -> list[dict]:
    """The runs without those that were disturbed, where the same thing was also measured undisturbed."""

    def kind(run: dict) -> tuple:
        which = run["series"], run["engine"], run["weights"], run["threads"], *run["workload"].values()
        return *which, (run["details"] or {}).get("instruction_set")

    measured = {kind(run) for run in runs if not is_disturbed(run) and not run["refusal"]}
    return [run for run in runs if not is_disturbed(run) or kind(run) not in measured]


# Two processors of a virtual machine may share a link to the memory or have one each, as the host places them; then they
# read half as much or all. Runs between these shares of the most that was read changed over meanwhile.
SHARED_LINK, OWN_LINKS = 0.7, 0.8


def most_read(runs: list[dict]) -> float:
    """The greatest bandwidth measured in any run, bytes a second; 0 where none was."""
    return max((rate for run in runs for rate in _bandwidth(run)), default=0.0)


def memory_of(rates: list[float], most: float) -> str | None:
    """"slow" or "fast" memory by all of these rates, bytes a second; None in between, or for none."""
    if not rates or not most:
        return None
    if max(rates) <= SHARED_LINK * most:
        return "slow"
    return "fast" if min(rates) >= OWN_LINKS * most else None


def _bandwidth(run: dict) -> list[float]:
    return (run["details"] or {}).get("all_machine_bytes_per_second") or []


@dataclass(frozen=True)
class MemoryRatio:
    """A ratio of runs that met the same memory, with how many there are of each engine."""

    ratio: Ratio
    memory: str
    bandwidth: float
    peer_count: int
    dormouse_count: int


def ratios_by_memory(runs: list[dict]) -> list[MemoryRatio]:
    """Those of decoding; none where the memory was always the same."""
    most = most_read(runs)
    compared = [run for run in runs if run["series"] == "compare" and not run["refusal"]]
    states = {id(run): memory_of(_bandwidth(run), most) for run in compared}
    if "slow" not in states.values():
        return []
    result = []
    for memory in ("slow", "fast"):
        alike = [run for run in compared if states[id(run)] == memory]
        for ratio in ratios(alike):
            if ratio.figure.metric == "decode" and ratio.value is not None:
                same = [run for run in alike if run["workload"]["prompt"] == ratio.figure.prompt]
                own = [run for run in same if run["engine"] == "Dormouse" and run["weights"] == ratio.figure.weights]
                peer = [run for run in same if run["weights"] == PEER_OF[ratio.figure.weights]]
                rates = [rate for run in own + peer for rate in _bandwidth(run)]
                result.append(MemoryRatio(ratio, memory, median(rates) or 0.0, len(peer), len(own)))
    return result


def value_of(
    runs: list[dict], engine: str, weights: str, prompt: int, metric: str, series: str = "compare"
) -> float | None:
    """The median of a metric over one series of one engine on one workload."""
    values = [
        run[metric] for run in runs
        if run["series"] == series and run["engine"] == engine and run["weights"] == weights
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
        other = value_of(runs, "llama.cpp", peer, figure.prompt, figure.metric)
        own = value_of(runs, "Dormouse", figure.weights, figure.prompt, figure.metric, figure.series)
        rate = fastest_decode(runs, figure) if figure.metric == "decode" else None
        result.append(Ratio(figure, other, own, rate / other if rate and other else None))
    return result


def fastest_decode(runs: list[dict], figure: Figure) -> float | None:
    """Tokens a second if Dormouse read its weights and the cache's rows at the bandwidth measured beside."""
    rates = []
    for run in runs:
        details = run["details"]
        if run["series"] == "compare" and run["engine"] == "Dormouse" and details:
            if (run["weights"], run["workload"]["prompt"]) == (figure.weights, figure.prompt):
                size = details.get("weight_bytes_per_token", 0) + details.get("cache_bytes_per_token", 0)
                rates += [details["machine_bytes_per_second"] / size] if size else []
    return median(rates)


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
