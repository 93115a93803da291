"""A process of the stack: started with a log, watched while it starts, and gone when this one is."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LEASH = Path(__file__).with_name("leash.py")


class StackError(Exception):
    """A sentence for whoever runs the stack: what is wrong, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how it is asked to end: with `signal`, then within `patience_s` seconds."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    end: signal.Signals
    patience_s: int
    user: str = ""


class Leashed:
    """A running program that does not outlive this process, not even after a kill -9 (see leash.py)."""

    def __init__(self, program: Program, keep_open: Sequence[int] = ()) -> None:
        self._program = program
        leash = [sys.executable, "-IS", str(_LEASH), str(int(program.end)), str(program.patience_s), program.user]
        with program.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*leash, *program.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(program.environment),
                pass_fds=keep_open,
                # Ctrl-C in a terminal goes to every process of its group. Here only the starter hears it,
                # and stops the others in order.
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Raises `StackError` with the end of the log when it dies first or takes longer."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if not self.is_running:
                raise StackError(self._obituary("ended while starting"))
            if time.monotonic() > deadline:
                raise StackError(self._obituary(f"was not ready after {seconds:g} s"))
            time.sleep(0.02)

    def finish(self) -> None:
        """Waits for the program to end by itself. Raises `StackError` with the end of the log when it fails."""
        if self._process.wait():
            raise StackError(self._obituary("failed"))

    def stop(self) -> None:
        """Ends the program and waits for that, no longer than its patience."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _obituary(self, what: str) -> str:
        tail = log_tail(self._program.log)
        return f"{self._program.name} {what}. The end of {self._program.log}:\n{tail}"


def log_tail(log: Path, lines: int = 15) -> str:
    with log.open(errors="replace") as file:
        return "".join(f"    {line}" for line in deque(file, lines))


def port_for(what: str, wanted: int | None, default: int, report: Callable[[str], None]) -> int:
    """The wanted port, which must be free, or else the default, or else any free one, and then it is reported."""
    if wanted is not None:
        if not _is_free(wanted):
            raise StackError(f"Port {wanted}, wanted for {what}, is taken. Choose another, or none to get a free one.")
        return wanted
    if _is_free(default):
        return default
    port = free_port()
    report(f"Port {default} is taken, so {what} is on {port}")
    return port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    # On macOS a loopback port can be bound under a listener on all interfaces, so ask for an answer first.
    with closing(socket.socket()) as caller:
        if caller.connect_ex((LOOPBACK, port)) == 0:
            return False
    with closing(socket.socket()) as probe:
        # Connections of an earlier run that wait for their end do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
