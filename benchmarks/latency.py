"""What the engine adds to an order's time beyond the delays of venues and chain, and how late a push is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.progress import Progress
from rich.table import Table

from benchmarks.chain import Delays, delays, epoch
from benchmarks.dialects import Json
from benchmarks.load import Seen, Target, confirmed, place_orders
from benchmarks.percentiles import SHARES, cells, in_ms
from benchmarks.stacks import CountedStack, Line, running, target_of

PARAMETERS = {"OrdersPerWorker": "10"}

LOADS = ((30, 1), (60, 10), (200, 50), (300, 100))
"""Orders, and how many of them at once."""
QUICK_LOADS = ((2, 1), (4, 4))

PUSHED = ("submitted", "confirmed")
"""The clients connect after their order is accepted, so the statuses before these are replayed to some of them."""

_PAUSE_SECONDS = 0.5
"""Between orders that come one at a time: what follows an order's end is not the next one's time."""


def measure(progress: Progress, *, quick: bool = False) -> Json:
    loads = QUICK_LOADS if quick else LOADS
    task = progress.add_task("latency", total=sum(orders for orders, _ in loads))
    with running(CountedStack, PARAMETERS) as stack:
        target = target_of(stack)
        most = max(at_once for _, at_once in loads)
        asyncio.run(place_orders(target, 2 * most, most))
        return {
            "parameters": PARAMETERS,
            "loads": [
                _measure_load(stack, target, orders, at_once, lambda: progress.advance(task))
                for orders, at_once in loads
            ],
        }


def _measure_load(stack: CountedStack, target: Target, orders: int, at_once: int, advance: Callable[[], None]) -> Json:
    size = stack.counter_file.stat().st_size
    pause = _PAUSE_SECONDS if at_once == 1 else 0
    seen = confirmed(asyncio.run(place_orders(target, orders, at_once, advance, pause_seconds=pause)))
    known = delays(stack, PARAMETERS)
    took = [(each, known[each.order_id]) for each in seen]
    lines = stack.lines(since=size) if at_once == 1 else []
    steps = [steps_of(each, delay, lines) for each, delay in took]
    return {
        "orders": orders,
        "atOnce": at_once,
        "answerMs": in_ms([each.answered_at - each.sent_at for each in seen if each.answered_at]),
        "totalMs": in_ms([each.at("confirmed") - each.sent_at for each in seen]),
        "configuredDelaysMs": in_ms([delay.configured for _, delay in took]),
        "slotWaitMs": in_ms([delay.slot_wait for _, delay in took]),
        "overheadMs": in_ms([sum(step.seconds for step in order) for order in steps]),
        "steps": [
            {"step": order[0].name, "who": order[0].who, "ms": in_ms([step.seconds for step in order])}
            for order in zip(*steps, strict=True)
        ],
        "pushMs": {status: in_ms([each.at(status) - _written(each, status) for each in seen]) for status in PUSHED},
    }


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    who: str
    seconds: float


def steps_of(seen: Seen, delay: Delays, lines: Sequence[Line]) -> list[Step]:
    """All of an order's overhead, step after step. With what was counted during it, the steps are finer."""
    slot = delay.landed_at + delay.slot_wait
    marks = [
        ("accept", "submit_order", _written(seen, "pending"), 0.0),
        ("wait for a worker", "order queue", _written(seen, "routing"), 0.0),
        ("claim, quote", "execute_order", _written(seen, "building"), delay.quotes),
        ("write ahead, send", "execute_order", delay.sent_at, 0.0),
        ("look up", "execute_order", _written(seen, "confirmed"), slot - delay.sent_at),
        ("push", "ws_notify", seen.at("confirmed"), 0.0),
    ]
    if lines:
        marks = _finer(marks, [line for line in lines if seen.sent_at <= line["at"] <= seen.ended_at])
    before, steps = seen.sent_at, []
    for name, who, at, configured in marks:
        steps.append(Step(name, who, at - before - configured))
        before = at
    return steps


Mark = tuple[str, str, float, float]


def _finer(marks: Sequence[Mark], lines: Sequence[Line]) -> list[Mark]:
    """With what happened between the timestamps. What a service is asked to do is its own from the asking on."""
    _, _, quotes, sent, looked_up, pushed = marks
    return [
        ("request", "HTTP API", _first(lines, "SubmitOrder", "invocation"), 0.0),
        ("accept", "submit_order", _first(lines, "SubmitOrder", "SendMessage"), 0.0),
        ("message", "order queue", _first(lines, "ExecuteOrder", "invocation"), 0.0),
        quotes,
        sent,
        looked_up,
        ("store, tell", "execute_order", _last(lines, "ExecuteOrder", "SendMessage"), 0.0),
        ("message", "status queue", _last(lines, "WsNotify", "invocation"), 0.0),
        ("find watchers", "ws_notify", _last(lines, "WsNotify", "PostToConnection"), 0.0),
        ("frame", "WebSocket API", *pushed[2:]),
    ]


def _first(lines: Sequence[Line], function: str, what: str) -> float:
    return min(_times(lines, function, what))


def _last(lines: Sequence[Line], function: str, what: str) -> float:
    return max(_times(lines, function, what))


def _times(lines: Sequence[Line], function: str, what: str) -> list[float]:
    kinds = [(line, (line["kind"], line.get("operation"))) for line in lines if line["function"] == function]
    if times := [line["at"] for line, kind in kinds if what in kind]:
        return times
    raise RuntimeError(f"an order was confirmed without any {what} of {function}: its steps are other ones now")


def _written(seen: Seen, status: str) -> float:
    return epoch(seen.event(status)["timestamp"])


def tables(result: Json) -> list[Table]:
    names = [f"p{share}" for share in SHARES]
    overhead = Table(
        "at once", "orders", *(f"{what} {name}" for what in ("POST", "overhead", "push") for name in names),
        title="Milliseconds from POST to the confirmed frame, beyond the delays of venues and chain",
        caption="Not in the overhead: quotes, the landing as it was drawn for each order, and the wait from there to"
        " the chain's next slot. push is from the timestamp of `confirmed` to its frame",
    )  # fmt: skip
    for load in result["loads"]:
        times = (load["answerMs"], load["overheadMs"], load["pushMs"]["confirmed"])
        overhead.add_row(str(load["atOnce"]), str(load["orders"]), *(cell for each in times for cell in cells(each)))
    return [overhead, *(_step_table(load) for load in result["loads"])]


def _step_table(load: Json) -> Table:
    names = [f"p{share}" for share in SHARES]
    table = Table("step", "who", *names, title=f"Where the overhead is, {load['atOnce']} at once (ms)")
    for each in load["steps"]:
        table.add_row(each["step"], each["who"], *cells(each["ms"], 1))
    table.add_section()
    table.add_row("all", "", *cells(load["overheadMs"], 1))
    return table
