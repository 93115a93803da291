"""What the counter's lines say of an order: see counter/sitecustomize.py for what is in them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from benchmarks.dialects import Json
from benchmarks.stacks import Line

FUNCTIONS = ("SubmitOrder", "ExecuteOrder", "WsConnect", "WsNotify")
"""Those that an order meets. WatchOrders runs once a minute, whatever the number of orders."""


def of_kind(lines: Sequence[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["kind"] == kind]


def function(lines: Sequence[Line], cpu: float, memory: int, orders: int) -> Json:
    """Milliseconds an order. `own` is what the handler used for anything but the SDK and the counting."""
    made, invocations = of_kind(lines, "call"), of_kind(lines, "invocation")
    sdk, counter = sum(line["cpu"] for line in made), sum(line["counter"] for line in made)
    handler = sum(line["cpu"] for line in invocations)
    in_ms = 1000 / orders
    return {
        "cpuMs": (cpu - counter) * in_ms,
        "sdkCpuMs": sdk * in_ms,
        "ownCpuMs": (handler - sdk - counter) * in_ms,
        "counterCpuMs": counter * in_ms,
        "peakMemoryMb": memory / 1e6,
        "invocations": len(invocations) / orders,
        "messagesAnInvocation": sum(line["messages"] for line in invocations) / max(len(invocations), 1),
        "billedMs": sum(billed_ms(line) for line in invocations) / orders,
    }


def calls(lines: Sequence[Line], orders: int) -> list[Json]:
    """Calls an order, by function, service, operation and what they go to; with the DynamoDB units they take."""
    counts: Counter[tuple[str, ...]] = Counter()
    cpu: defaultdict[tuple[str, ...], float] = defaultdict(float)
    capacity: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for line in of_kind(lines, "call"):
        call = (line["function"], line["service"], line["operation"], line["target"])
        counts[call] += 1
        cpu[call] += line["cpu"]
        capacity[call] += units(line)
    names = ("function", "service", "operation", "target")
    return [
        dict(zip(names, call, strict=True))
        | {"calls": count / orders, "cpuMsACall": cpu[call] / count * 1000, "units": capacity[call] / orders}
        for call, count in sorted(counts.items(), key=lambda item: (FUNCTIONS.index(item[0][0]), *item[0]))
    ]


def units(line: Line) -> float:
    """As the emulator counts them, from the sizes of items and with their indexes; 4 KB for each read, which is enough.

    A refused write, for which it says nothing, is taken for one unit.
    """
    if line["service"] != "dynamodb":
        return 0.0
    capacity = line["capacity"] or {"CapacityUnits": 1}
    return float(sum(each["CapacityUnits"] for each in (capacity if isinstance(capacity, list) else [capacity])))


def billed_ms(invocation: Line) -> int:
    seconds: float = invocation["until"] - invocation["at"]
    return math.ceil(seconds * 1000)
