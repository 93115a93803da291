"""The stored form of an order: small, and the same for ever."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from order_engine.adapters import items
from tests.builders import an_order, submit

ORDER_ID = "00000000-0000-4000-8000-000000000001"

PACKED: dict[str, Any] = {
    "request": "I68MNTQ1gAIdlOIUXIQSKraVyKsOgA6qLEgFp+ii7FRgsQ0A",
    "route": (
        "q0YvnTACASqgC+bqkFDUghUZmhpAgQ5KQWRkZGpoZGxiaqYDiS9jc1MDtIKLCK0opZmJnpGSDpYyzdBIz9gEKANPsFAfQdNtSUaq"
        "QhIwQBWAmV0BaEEBqEoAAA=="
    ),
    "transaction": "Qy3v4Gzd/DRdAygAM3RNQIQFjAsFhiCHwsvIZKOcvKTcsGwlHdzFpaGpQS0A",
    "events": [
        "Q3aVARToggkTEGEB40KBIXVdbmioa2QYYmhkZWAARJT4AwA=",
        "Q3aVARToggkTEGEB40KBIYrLjXQIBwlelxsa6hoZhhgaWRkYAJGegSGaPzBDEQA=",
        (
            "Q3aVARToggkTEGEB40KBIYrLjXWISEB4nW5oqGtkGGJoZGVgAER6BkZoHkFNc4gIQo8weGKECkHTZElGqkIS0EYFYEZWABpVAEwh"
            "OvAkiTPeoQK6YC5yWiQiKRrqmcIFIGqMjEz1DI2MTUzNgBKIxAkExuam4GIGT9aAlcdQEYWUzBSFvPwSYJQWlwOjODNPARSmMIXQ"
            "8jjM1S8UWPp6+rr6h4bgS+BoHqXAGzpE5DUTPSOEdxHZajC4Coe4DnqBaWRkpGdhDiQNlWoB"
        ),
        (
            "Q3aVARToggkTEGEB40KBIYrLTXSIScl43W5oqGtkGGJoZGVgAER6BsZoPsGZ+BGRhR55yLkCztbNT9Ml0n/YM5IhODOgZh8jIyM9"
            "C3MgaahUCwA="
        ),
    ],
}
"""As the first version packed it."""


def test_what_the_first_version_stored_can_be_read() -> None:
    order = submit(an_order(ORDER_ID))
    packed = {name: {"B": b64decode(PACKED[name])} for name in ("request", "route", "transaction")}
    events = {"events": {"L": [{"B": b64decode(event)} for event in PACKED["events"]]}}
    assert items.order(items.new_order(order) | packed | events) == order


def test_an_order_is_packed_to_less_than_half() -> None:
    [*_, building, _] = submit(an_order(ORDER_ID)).events
    [packed] = items.order_events(submit(an_order(ORDER_ID)), after=2)[:1]
    assert len(packed["B"]) * 2 < len(str(building))


def test_an_acceptance_is_all_that_an_unclaimed_order_is_made_of() -> None:
    order = an_order(ORDER_ID, user_id="u1", limit=7)
    assert items.accepted_order(ORDER_ID, items.acceptance(order)) == order
