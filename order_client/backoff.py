"""How long to wait before something is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import SystemRandom

_RANDOM = SystemRandom()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter: pauses are up to `first_s`, then up to twice as long each, never above `most_s`.

    `attempts` are all that there are, the first one too.
    """

    attempts: int = 5
    first_s: float = 0.2
    most_s: float = 3.0
    sleep: Callable[[float], None] = time.sleep

    def pauses(self) -> Iterator[float]:
        """One before each further attempt."""
        return islice(self.endless(), self.attempts - 1)

    def endless(self) -> Iterator[float]:
        # Beyond 2 ** 32 times the first pause, all are the longest one.
        return (_RANDOM.uniform(0, min(self.most_s, self.first_s * 2 ** min(attempt, 32))) for attempt in count())


DEFAULT = Backoff()
