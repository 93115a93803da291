"""The machine's own clock and randomness."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemRandomness:
    """Random from the operating system, so that a restored snapshot of the process does not repeat itself."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def token(self) -> str:
        return str(uuid.uuid4())

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
