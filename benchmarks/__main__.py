"""`python -m benchmarks run` measures the engine on stacks of its own; `load` is a load generator for any engine."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks import cold_start, cost, latency, profile, report, throughput
from benchmarks.dialects import DIALECTS
from benchmarks.load import Target, place_orders
from benchmarks.summary import summary, summary_table
from local.process import StackError
from local.stack import PROJECT

MEASURES = {"cost": cost, "latency": latency, "throughput": throughput, "cold-start": cold_start, "profile": profile}
USUAL = ("cost", "latency", "throughput", "cold-start")
"""Without the profile, since not everybody may look into processes: root may."""

app = typer.Typer(no_args_is_help=True, add_completion=False)
console = Console(width=None if sys.stdout.isatty() else 150)


@app.callback()
def commands() -> None:
    """Measure an order engine."""


@app.command()
def run(
    only: Annotated[str, typer.Option(help=f"Of {', '.join(MEASURES)}, with commas between them.")] = ",".join(USUAL),
    quick: Annotated[bool, typer.Option("--quick", help="A few orders only: to see that it works.")] = False,
    out: Annotated[Path, typer.Option(help="Where results.json and results.svg go.")] = PROJECT / ".local/benchmarks",
) -> None:
    """Measure this engine, each measure on local stacks of its own."""
    names = only.split(",")
    if unknown := set(names) - set(MEASURES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there is {', '.join(MEASURES)}")
    about = report.machine()
    with _progress() as progress:
        results = {name: MEASURES[name].measure(progress, quick=quick) for name in names}
    for name, result in results.items():
        for table in MEASURES[name].tables(result):
            console.print(table)
    console.print(report.caption(about))
    for path in report.write(out, about, results):
        console.print(str(path), highlight=False)


@app.command()
def load(  # noqa: PLR0913, PLR0917 (one an option)
    url: Annotated[str, typer.Option(help="The engine's HTTP base URL.")],
    ws_url: Annotated[str, typer.Option(help="Where its WebSockets are opened.")],
    dialect: Annotated[str, typer.Option(help=f"One of {', '.join(DIALECTS)}.")] = "token-in-out",
    orders: Annotated[int, typer.Option(min=1)] = 60,
    at_once: Annotated[int, typer.Option(min=1)] = 60,
    path: Annotated[str, typer.Option(help="Where orders are posted, if not where the dialect has it.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds that an order may take.")] = 120,
    linger: Annotated[float, typer.Option(help="Seconds to watch on after `failed`, should it not be the end.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A file for the numbers, as JSON.")] = None,
) -> None:
    """Place orders with any engine, watch them to their ends, and say how long it all took."""
    if dialect not in DIALECTS:
        raise typer.BadParameter(f"{dialect}: there is {', '.join(DIALECTS)}")
    spoken = DIALECTS[dialect]
    target = Target(url, ws_url, replace(spoken, path=path or spoken.path), timeout, linger)
    with _progress() as progress:
        task = progress.add_task(dialect, total=orders)
        seen = asyncio.run(place_orders(target, orders, at_once, lambda: progress.advance(task)))
    numbers = {"url": url, "dialect": dialect, "orders": orders, "atOnce": at_once, **summary(seen)}
    console.print(summary_table(numbers), report.caption(about := report.machine()))
    if out:
        out.write_text(json.dumps({"machine": about, **numbers}, indent=2) + "\n")
    if numbers["errors"]:
        raise typer.Exit(1)


def _progress() -> Progress:
    return Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


if __name__ == "__main__":
    try:
        app()
    except StackError as error:
        sys.exit(str(error))
