"""`python -m benchmarks run` measures the engine on stacks of its own; `load` is a load generator for any engine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks import cost

MEASURES = {"cost": cost}

app = typer.Typer(no_args_is_help=True, add_completion=False)
console = Console(width=None if sys.stdout.isatty() else 140)


@app.callback()
def commands() -> None:
    """Measure an order engine."""


@app.command()
def run(
    only: Annotated[str, typer.Option(help=f"Which of {','.join(MEASURES)}.")] = ",".join(MEASURES),
    quick: Annotated[bool, typer.Option("--quick", help="A few orders only: to see that it works.")] = False,
) -> None:
    """Measure the engine, each measure on a local stack of its own."""
    with Progress(console=console) as progress:
        results = {name: MEASURES[name].measure(progress, quick=quick) for name in only.split(",")}
    for name, result in results.items():
        for table in MEASURES[name].tables(result):
            console.print(table)


if __name__ == "__main__":
    app()
