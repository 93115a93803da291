"""What an order takes: processor time and memory of each function, calls to AWS, and dollars."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.progress import Progress
from rich.table import Table

from benchmarks import prices
from benchmarks.dialects import DIALECTS, Json
from benchmarks.load import Seen, Target, place_orders
from benchmarks.stacks import CountedStack, Line, counted_stack
from local.workers import cpu_seconds, most_resident_bytes, workers

FUNCTIONS = ("SubmitOrder", "ExecuteOrder", "WsConnect", "WsNotify")
"""Those that an order meets. WatchOrders runs once a minute, whatever the number of orders."""

PARAMETERS = {"OrdersPerWorker": "10"}
DIALECT = "token-in-out"

_QUIET_SECONDS = 2.0
_READS = frozenset({"GetItem", "Query", "BatchGetItem"})


@dataclass(frozen=True, slots=True)
class Load:
    orders: int
    at_once: int


LOADS = (Load(20, 1), Load(200, 50))
QUICK_LOADS = (Load(3, 1), Load(20, 10))


def measure(progress: Progress, *, quick: bool = False) -> Json:
    loads = QUICK_LOADS if quick else LOADS
    task = progress.add_task("cost", total=sum(load.orders for load in loads))
    with counted_stack(PARAMETERS) as stack:
        target = Target(stack.endpoints.http, stack.endpoints.ws, DIALECTS[DIALECT])
        # Every worker that any of the loads wants is there, and has imported all that it ever does.
        most = max(load.at_once for load in loads)
        asyncio.run(place_orders(target, 2 * most, most))
        _wait_until_quiet(stack)
        return {
            "parameters": PARAMETERS | {"dialect": DIALECT},
            "loads": [_measure_load(stack, target, load, lambda: progress.advance(task)) for load in loads],
        }


def _measure_load(stack: CountedStack, target: Target, load: Load, advance: Callable[[], None]) -> Json:
    start, size, cpu = time.time(), stack.counter_file.stat().st_size, _cpu(stack)
    seen = asyncio.run(place_orders(target, load.orders, load.at_once, advance))
    _wait_until_quiet(stack)
    if unhappy := [each.error or each.status for each in seen if each.status != "confirmed"]:
        raise RuntimeError(f"{len(unhappy)} of {load.orders} orders were not confirmed: {unhappy[0]}")
    used = {worker: seconds - cpu.get(worker, 0) for worker, seconds in _cpu(stack).items()}
    new_workers = sum(worker not in cpu for worker in used)
    lines = [line for line in stack.lines(since=size) if line["function"] in FUNCTIONS]
    result = {
        "orders": load.orders,
        "atOnce": load.at_once,
        "workersStartedMeanwhile": new_workers,
        "functions": {
            function: _function(
                [line for line in lines if line["function"] == function],
                sum(seconds for (name, _), seconds in used.items() if name == function),
                max((most_resident_bytes(pid) for name, pid in used if name == function), default=0),
                load.orders,
            )
            for function in FUNCTIONS
        },
        "calls": _calls(stack, lines, load.orders),
    }
    return result | {"dollarsPerMillionOrders": _dollars(stack, lines, seen, _log_bytes(stack, start))}


def _cpu(stack: CountedStack) -> dict[tuple[str, int], float]:
    return {(name, pid): cpu_seconds(pid) for name in FUNCTIONS for pid in workers(stack, name)}


def _wait_until_quiet(stack: CountedStack) -> None:
    """Nothing has been counted for a while: all orders are on record, and all sockets' ends are dealt with."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_SECONDS:
        time.sleep(0.1)
        if size != (size := stack.counter_file.stat().st_size):
            since = time.monotonic()


def _function(lines: Sequence[Line], cpu: float, memory: int, orders: int) -> Json:
    """Milliseconds an order. `own` is what the handler used for anything but the SDK and the counting."""
    calls = [line for line in lines if line["kind"] == "call"]
    invocations = [line for line in lines if line["kind"] == "invocation"]
    sdk, counter = sum(line["cpu"] for line in calls), sum(line["counter"] for line in calls)
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
        "billedMs": sum(_billed_ms(line) for line in invocations) / orders,
    }


def _calls(stack: CountedStack, lines: Sequence[Line], orders: int) -> list[Json]:
    """Calls an order, by function, service, operation and what they go to; with the DynamoDB units they take."""
    counts: Counter[tuple[str, ...]] = Counter()
    cpu: defaultdict[tuple[str, ...], float] = defaultdict(float)
    units: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for line in lines:
        if line["kind"] == "call":
            call = (line["function"], line["service"], line["operation"], _target(stack, line))
            counts[call] += 1
            cpu[call] += line["cpu"]
            units[call] += _units(line)
    names = ("function", "service", "operation", "target")
    return [
        dict(zip(names, call, strict=True))
        | {"calls": count / orders, "cpuMsACall": cpu[call] / count * 1000, "units": units[call] / orders}
        for call, count in sorted(counts.items(), key=lambda item: (FUNCTIONS.index(item[0][0]), *item[0]))
    ]


def _target(stack: CountedStack, line: Line) -> str:
    names = {
        stack.outputs["OrdersTableName"]: "orders",
        stack.outputs["LedgerTableName"]: "chain",
        stack.outputs["OrderQueueUrl"]: "order queue",
        stack.outputs["StatusQueueUrl"]: "status queue",
    }
    return names.get(line["target"], line["target"] or "sockets")


def _units(line: Line) -> float:
    """As the emulator counts them, from the sizes of items and with their indexes; 4 KB for each read, which is enough.

    A refused write, for which it says nothing, is taken for one unit.
    """
    if line["service"] != "dynamodb":
        return 0.0
    capacity = line["capacity"] or {"CapacityUnits": 1}
    return float(sum(each["CapacityUnits"] for each in (capacity if isinstance(capacity, list) else [capacity])))


def _billed_ms(invocation: Line) -> int:
    seconds: float = invocation["until"] - invocation["at"]
    return math.ceil(seconds * 1000)


def _log_bytes(stack: CountedStack, start: float) -> int:
    """CloudWatch charges 26 bytes an event beyond its text."""
    logs, total = stack.client("logs"), 0
    for group in logs.describe_log_groups()["logGroups"]:
        if any(name in group["logGroupName"] for name in ("submit-order", "execute-order", "ws-connect", "ws-notify")):
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=int(start * 1000)
            )
            total += sum(len(event["message"].encode()) + 26 for page in pages for event in page["events"])
    return total


def _dollars(stack: CountedStack, lines: Sequence[Line], seen: Sequence[Seen], log_bytes: int) -> list[Json]:
    """What each cent buys: how many of what an order takes, and what a million orders pay for them."""
    calls = [line for line in lines if line["kind"] == "call"]
    invocations = [line for line in lines if line["kind"] == "invocation"]
    by_function = {name: [line for line in invocations if line["function"] == name] for name in FUNCTIONS}
    table = [line for line in calls if _target(stack, line) == "orders"]
    sent = {name: _chunks(stack, calls, name, 64) for name in ("order queue", "status queue")}
    # One receive and one delete for a batch: made by Lambda itself, so not counted but reckoned.
    polled = {name: 2 * len(by_function[name]) for name in ("ExecuteOrder", "WsNotify")}
    said = sum(line["event"] == "MESSAGE" for line in by_function["WsConnect"])
    minutes = sum(each.ended_at - (each.answered_at or each.sent_at) for each in seen) / 60
    rows = [
        ("HTTP API: requests", len(by_function["SubmitOrder"]), prices.HTTP_API_REQUEST),
        ("WebSocket API: messages", _chunks(stack, calls, "sockets", 32) + said, prices.WEBSOCKET_MESSAGE),
        ("WebSocket API: connection minutes", minutes, prices.WEBSOCKET_MINUTE),
        ("Lambda: requests", len(invocations), prices.LAMBDA_REQUEST),
        *(
            (
                f"Lambda: GB-seconds of {name}",
                sum(_billed_ms(line) * line["memoryMb"] for line in by_function[name]) / 1024 / 1000,
                prices.LAMBDA_GB_SECOND,
            )
            for name in FUNCTIONS
        ),
        (
            "DynamoDB: write units",
            sum(_units(line) for line in table if line["operation"] not in _READS),
            prices.DYNAMODB_WRITE_UNIT,
        ),
        (
            "DynamoDB: read units",
            sum(_units(line) for line in table if line["operation"] in _READS),
            prices.DYNAMODB_READ_UNIT,
        ),
        ("SQS: order queue, sent", sent["order queue"], prices.SQS_REQUEST),
        ("SQS: order queue, received and deleted", polled["ExecuteOrder"], prices.SQS_REQUEST),
        ("SQS: status queue, sent", sent["status queue"], prices.SQS_FIFO_REQUEST),
        ("SQS: status queue, received and deleted", polled["WsNotify"], prices.SQS_FIFO_REQUEST),
        ("CloudWatch Logs: GB", log_bytes / 1e9, prices.LOGS_GB),
    ]
    return [
        {"what": what, "anOrder": amount / len(seen), "dollars": amount / len(seen) * price * 1e6}
        for what, amount, price in rows
    ]


def _chunks(stack: CountedStack, calls: Sequence[Line], target: str, kilobytes: int) -> int:
    return sum(math.ceil(line["bytes"] / (kilobytes * 1024)) for line in calls if _target(stack, line) == target)


def tables(result: Json) -> list[Table]:
    return [table for load in result["loads"] for table in (_cpu_table(load), _call_table(load), _dollar_table(load))]


def _title(what: str, load: Json) -> str:
    return f"{what}, {load['orders']} orders, {load['atOnce']} at once"


def _cpu_table(load: Json) -> Table:
    table = Table(
        "function", "CPU ms", "SDK", "own", "rest", "peak MB", "invocations", "messages each", "billed ms",
        title=_title("Processor time of an order", load),
        caption="rest is the emulator's part of the process and waiting threads; counting is not in it",
    )  # fmt: skip
    functions = load["functions"]
    for name, each in functions.items():
        rest = each["cpuMs"] - each["sdkCpuMs"] - each["ownCpuMs"]
        table.add_row(
            name,
            *(f"{value:.1f}" for value in (each["cpuMs"], each["sdkCpuMs"], each["ownCpuMs"], rest)),
            f"{each['peakMemoryMb']:.0f}",
            *(f"{each[key]:.2f}" for key in ("invocations", "messagesAnInvocation")),
            f"{each['billedMs']:.0f}",
        )
    sums = [sum(each[key] for each in functions.values()) for key in ("cpuMs", "sdkCpuMs", "ownCpuMs")]
    table.add_section()
    table.add_row("all", *(f"{value:.1f}" for value in (*sums, sums[0] - sums[1] - sums[2])))
    return table


def _call_table(load: Json) -> Table:
    table = Table(
        "function", "service", "operation", "to", "calls", "CPU ms a call", "units",
        title=_title("AWS calls of an order", load),
    )  # fmt: skip
    for each in load["calls"]:
        table.add_row(
            *(each[key] for key in ("function", "service", "operation", "target")),
            f"{each['calls']:.2f}",
            f"{each['cpuMsACall']:.2f}",
            f"{each['units']:.2f}" if each["units"] else "",
        )
    table.add_section()
    for name, calls in (
        ("all but the chain's", [each for each in load["calls"] if each["target"] != "chain"]),
        ("the chain's", [each for each in load["calls"] if each["target"] == "chain"]),
    ):
        total = sum(each["calls"] for each in calls)
        table.add_row(name, "", "", "", f"{total:.2f}", "", f"{sum(each['units'] for each in calls):.2f}")
    return table


def _dollar_table(load: Json) -> Table:
    table = Table(
        "what", "an order", "$ for a million orders",
        title=_title("Dollars", load),
        caption=f"Prices of {prices.REGION}, {prices.DATE}; without Postgres, and the chain, which is simulated."
        " Receives and deletes are Lambda's own: reckoned, two for an invocation",
    )  # fmt: skip
    rows = load["dollarsPerMillionOrders"]
    for row in rows:
        table.add_row(row["what"], f"{row['anOrder']:.3g}", f"{row['dollars']:.2f}")
    table.add_section()
    table.add_row("all", "", f"{sum(row['dollars'] for row in rows):.2f}")
    logs = sum(row["dollars"] for row in rows if row["what"].startswith("CloudWatch"))
    table.add_row("without logs", "", f"{sum(row['dollars'] for row in rows) - logs:.2f}")
    return table
