"""One event loop for the life of a function's process, so that nothing is opened anew for each invocation."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

CALLS_AT_ONCE = 32
"""boto3 calls wait in threads. The default, a few more than there are cores, is for work and not for waiting."""


def make_runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=_make_loop)


def _make_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="call"))
    return loop
