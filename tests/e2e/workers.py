"""The processes that the functions run in: which they are, what memory they take, and their sudden end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from local.stack import Stack

PROC = Path("/proc")

needs_proc = pytest.mark.skipif(not (PROC / "self/statm").exists(), reason="looks for processes in /proc")


def workers(stack: Stack, function: str = "") -> list[int]:
    """The process ids of this stack's workers, or of those of one function (its logical id), oldest first."""
    # ministack unpacks the code of each worker into a folder of its own, named for the function, and runs it there.
    mark = f"{stack.directory / 'tmp'}/ministack-lambda-".encode()
    return sorted(pid for pid, command in _commands() if mark in command and function.encode() in command)


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def resident_bytes(pid: int) -> int:
    """0 when the process has ended."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _commands() -> list[tuple[int, bytes]]:
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found.append((int(entry.name), (entry / "cmdline").read_bytes()))
    return found
