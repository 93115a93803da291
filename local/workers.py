"""The processes that the functions of a local stack run in: which they are, and what they use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from local.stack import Stack

PROC = Path("/proc")

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def workers(stack: Stack, function: str = "") -> list[int]:
    """The process ids of this stack's workers, or of those of one function (its logical id), oldest first."""
    # ministack unpacks the code of each worker into a folder of its own, named for the function, and runs it there.
    mark = f"{stack.directory / 'tmp'}/ministack-lambda-".encode()
    return sorted(pid for pid, command in _commands() if mark in command and function.encode() in command)


def resident_bytes(pid: int) -> int:
    """0 when the process has ended."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def most_resident_bytes(pid: int) -> int:
    """The most it has ever had resident; 0 when the process has ended."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """What it has used since its start, for itself and the system on its behalf; 0 when the process has ended."""
    try:
        user, system = _status(pid)[11:13]
    except OSError:
        return 0.0
    return (int(user) + int(system)) * _TICK_SECONDS


def parent(pid: int) -> int:
    """The process that started it; of a worker, the emulator. Raises `OSError` when it has ended."""
    return int(_status(pid)[1])


def _status(pid: int) -> list[str]:
    """What follows the command's name, which may have spaces in it, in proc_pid_stat(5)."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _commands() -> list[tuple[int, bytes]]:
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found.append((int(entry.name), (entry / "cmdline").read_bytes()))
    return found
