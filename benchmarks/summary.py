"""What a run of the load generator came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from benchmarks.dialects import Json
from benchmarks.load import Seen
from benchmarks.percentiles import SHARES, cells, in_ms


def summary(seen: Sequence[Seen]) -> Json:
    """How many came to which end, and how long it took them. An order without an end is in `errors`, by its text."""
    ended = [each for each in seen if not each.error]
    seconds = max((each.ended_at for each in ended), default=0) - min(each.sent_at for each in seen)
    return {
        "ends": Counter(each.status for each in ended),
        "errors": Counter(each.error for each in seen if each.error),
        "seconds": seconds if ended else None,
        "ordersPerSecond": len(ended) / seconds if ended else None,
        "answerMs": in_ms([each.answered_at - each.sent_at for each in seen if each.answered_at]),
        "endMs": in_ms([each.ended_at - each.sent_at for each in ended]),
        "statusMs": {status: in_ms(times) for status, times in _first_told(ended).items()},
    }


def _first_told(seen: Sequence[Seen]) -> dict[str, list[float]]:
    """By status, how long after it was placed each order was first said to have it."""
    told: dict[str, list[float]] = {}
    for each in seen:
        for status in dict.fromkeys(frame["status"] for _, frame in each.frames):
            told.setdefault(status, []).append(each.at(status) - each.sent_at)
    return told


def summary_table(numbers: Json) -> Table:
    table = Table(
        "", *(f"p{share}" for share in SHARES), title=f"{numbers['orders']} orders, {numbers['atOnce']} at once"
    )
    table.add_row("POST to answer, ms", *cells(numbers["answerMs"], 1))
    for status, times in numbers["statusMs"].items():
        table.add_row(f"order to {status}, ms", *cells(times))
    table.add_row("order to end, ms", *cells(numbers["endMs"]))
    table.add_section()
    if numbers["seconds"]:
        table.add_row("all of them, s", f"{numbers['seconds']:.1f}")
        table.add_row("orders per second", f"{numbers['ordersPerSecond']:.1f}")
    for what in ("ends", "errors"):
        for text, count in numbers[what].items():
            table.add_row(text, str(count))
    return table
