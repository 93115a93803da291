"""What was measured, on what: as JSON and as a plot."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.dialects import Json
from benchmarks.percentiles import SHARES
from local.stack import PROJECT


def machine() -> Json:
    """What the numbers depend on beside the code, and which code it was."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memoryGb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _git("describe", "--always", "--dirty"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "loadAverage": os.getloadavg()[0],
    }


def caption(about: Json) -> str:
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memoryGb']} GB, Python {about['python']},"
        f" commit {about['commit']}, {about['time']}, load average at the start {about['loadAverage']:.1f}"
    )


def _field(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _git(*arguments: str) -> str:
    try:
        answer = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def write(folder: Path, about: Json, results: Json) -> list[Path]:
    """The files written: all numbers, and a plot of some."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers, picture = folder / "results.json", folder / "results.svg"
    numbers.write_text(json.dumps({"machine": about, **results}, indent=2) + "\n")
    panels = [(panel, results[name]) for name, panel in _PANELS.items() if name in results]
    figure = Figure(figsize=(12, 4 * ((len(panels) + 1) // 2) + 0.5), layout="constrained")
    figure.supxlabel(caption(about), fontsize=7)
    for number, (panel, result) in enumerate(panels, 1):
        panel(figure.add_subplot((len(panels) + 1) // 2, min(len(panels), 2), number), result)
    figure.savefig(picture)
    return [numbers, picture]


def _plot_latency(axes: Axes, result: Json) -> None:
    loads = result["loads"]
    for number, share in enumerate(SHARES):
        at = [index + (number - 1) * 0.27 for index in range(len(loads))]
        axes.bar_label(
            axes.bar(at, [load["overheadMs"][f"p{share}"] for load in loads], 0.25, label=f"p{share}"), fmt="%.0f"
        )
    axes.set_xticks(range(len(loads)), [f"{load['atOnce']} at once" for load in loads])
    axes.set_yscale("log")
    axes.margins(y=0.1)
    axes.set_title("Overhead of an order, ms")
    axes.legend()


def _plot_throughput(axes: Axes, result: Json) -> None:
    cases = result["cases"]
    names = [f"{case['name']}\n{case['orders']} orders, {case['ordersPerWorker']} a worker" for case in cases]
    axes.bar_label(axes.barh(names, [case["ordersPerSecond"] for case in cases]), fmt="%.1f")
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set_title("Orders per second")


def _plot_cost(axes: Axes, result: Json) -> None:
    load = result["loads"][-1]
    rows: list[dict[str, Any]] = sorted(load["dollarsPerMillionOrders"], key=lambda row: float(row["dollars"]))
    axes.bar_label(axes.barh([row["what"] for row in rows], [row["dollars"] for row in rows]), fmt="%.2f")
    axes.margins(x=0.12)
    axes.set_title(f"Dollars for a million orders, {load['atOnce']} at once")


def _plot_cold_start(axes: Axes, result: Json) -> None:
    starts = result["starts"]
    axes.bar_label(axes.barh([each["name"] for each in starts], [each["wallMs"] for each in starts]), fmt="%.0f")
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set_title("Import and init, ms")


_PANELS = {
    "latency": _plot_latency,
    "throughput": _plot_throughput,
    "cost": _plot_cost,
    "cold-start": _plot_cold_start,
}
