"""Where commands write to: answers to stdout, all else to stderr. For programs, one JSON object a line."""

from __future__ import annotations

import json
import sys

import typer
from rich.console import Console

_WIDE = 250
"""What is not a terminal, a file or another program, has no edge that a table would have to keep within."""


def _console(*, is_error: bool) -> Console:
    is_terminal = (sys.stderr if is_error else sys.stdout).isatty()
    # What is shown was written by others: brackets and colons in it mean nothing.
    return Console(stderr=is_error, markup=False, emoji=False, highlight=False, width=None if is_terminal else _WIDE)


out, err = _console(is_error=False), _console(is_error=True)


def print_json(answer: object) -> None:
    """At once, for whoever reads along."""
    typer.echo(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
    sys.stdout.flush()


def say(sentence: str) -> None:
    err.print(sentence, soft_wrap=True)
