"""Stacks for tests: each in a directory and on ports of its own, gone afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from local.process import free_port
from local.stack import PROJECT, Stack, StackSettings


@contextmanager
def running_stack(name: str, parameters: Mapping[str, str], *, enforce_iam: bool = True) -> Iterator[Stack]:
    """Its functions may do what their roles allow and nothing else, as on AWS."""
    directory = PROJECT / ".local" / f"{name}-{os.getpid()}"
    settings = StackSettings(directory, parameters, free_port(), free_port(), enforce_iam=enforce_iam)
    try:
        with Stack(settings) as running:
            yield running
    finally:
        # What the emulator and the functions said, for whoever has to find out why a test failed.
        # Of two processes that test at a time, each has its own.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        shutil.copy(directory / "emulator.log", PROJECT / ".local" / f"{name}{worker and '-'}{worker}.log")
        shutil.rmtree(directory)
