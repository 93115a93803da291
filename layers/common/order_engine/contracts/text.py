"""What a client calls something: printable, so that it can be logged, stored and shown."""

from __future__ import annotations

MAX_TEXT_LENGTH = 128


def is_text(value: str) -> bool:
    return 1 <= len(value) <= MAX_TEXT_LENGTH and value.isprintable()
