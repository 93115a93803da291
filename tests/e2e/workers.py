"""The sudden end of the processes that the functions run in."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from local.workers import PROC

needs_proc = pytest.mark.skipif(not (PROC / "self/statm").exists(), reason="looks for processes in /proc")


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)
