"""Waiting for what happens elsewhere: no sleeps in tests, a deadline, and the last state when it passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

State = TypeVar("State")


def poll(read: Callable[[], State], until: Callable[[State], bool], within_s: float = 30) -> State:
    """The first state that `until` is content with. Past the deadline the test fails, saying the last one."""
    deadline = time.monotonic() + within_s
    while not until(state := read()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s; the last state was {state!r}"
        time.sleep(0.05)
    return state
