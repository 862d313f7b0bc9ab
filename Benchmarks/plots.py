"""Plots as SVG, with matplotlib: ratios beside their targets, and rates against depth, threads and tokens at once."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

import figures  # noqa: E402

# Text stays text, and the same results give the same file.
plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "dormouse", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "white",
})  # fmt: skip

COLOURS = {"int8": "#2f6f9f", "int4": "#d98a29", "native": "#5b8c5a", "fp8": "#8a5a9f"}
GREY = "#999999"

# Series of runs -> (what lies along the x axis, how a run tells its place there, what is plotted).
SWEEPS = {
    "depth": ("tokens in the cache", lambda run: run["workload"]["depth"], ("decode", "prefill")),
    "threads": ("threads", lambda run: run["threads"], ("decode", "prefill")),
    "batch": ("tokens at once", lambda run: run["workload"]["prompt"], ("prefill",)),
}


def write_all(results: dict, folder: Path) -> list[Path]:
    """Writes those plots for which there are figures; returns their files."""
    runs = figures.undisturbed(results["runs"])
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    found = [ratio for ratio in figures.ratios(runs) if ratio.value is not None]
    if found:
        written.append(_save(_ratios(found), folder / "performance-ratios.svg"))
    for series in SWEEPS:
        mine = [run for run in runs if run["series"] == series]
        if any(run["decode"] or run["prefill"] for run in mine):
            written.append(_save(_sweep(series, mine), folder / f"performance-{series}.svg"))
    return written


def _save(figure, path: Path) -> Path:
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return path


def _ratios(found: list[figures.Ratio]):
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(found) + 1.2))
    places = range(len(found))
    axes.barh(
        places, [ratio.value for ratio in found], height=0.62,
        color=[COLOURS[ratio.figure.weights] for ratio in found],
    )  # fmt: skip
    for place, ratio in zip(places, found):
        axes.text(0.04, place, f"{ratio.value:.2f}x", va="center", color="white", fontweight="bold")
        if ratio.figure.target:
            axes.plot([ratio.figure.target] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
    labels = [f"{ratio.figure.name}, {ratio.figure.weights}" for ratio in found]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.axvline(1, color=GREY, linewidth=1, zorder=0)
    axes.set_xlabel("times llama.cpp, same weights and bits, same run (black: the target)")
    return figure


def _sweep(series: str, runs: list[dict]):
    label, place, metrics = SWEEPS[series]
    figure, panels = plt.subplots(1, len(metrics), figsize=(5 * len(metrics), 3.4), squeeze=False)
    for axes, metric in zip(panels[0], metrics):
        for engine, weights in dict.fromkeys((run["engine"], run["weights"]) for run in runs):
            points = sorted(
                (place(run), run[metric]) for run in runs
                if (run["engine"], run["weights"]) == (engine, weights) and run[metric]
            )  # fmt: skip
            if points:
                _line(axes, engine, weights, points)
        axes.set_xlabel(label)
        axes.set_ylabel(f"{metric}, tokens/s")
        axes.set_ylim(bottom=0)
        if series == "batch":
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
        elif series == "threads":
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.legend(frameon=False)
    figure.tight_layout()
    return figure


def _line(axes, engine: str, weights: str, points: list[tuple[float, float]]) -> None:
    """The peer's lines are dashed, in the colour of the weights that they are held against."""
    own = next((mine for mine, peer in figures.PEER_OF.items() if peer == weights), weights)
    style = "-" if engine == "Dormouse" else "--"
    axes.plot(*zip(*points), style, marker="o", markersize=4, color=COLOURS.get(own, GREY), label=f"{engine} {weights}")
