"""What an order takes: processor time and memory of each function, calls to AWS, and dollars."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.progress import Progress
from rich.table import Table

from benchmarks.bill import bill, bill_table
from benchmarks.counted import FUNCTIONS, calls, function
from benchmarks.dialects import Json
from benchmarks.load import Target, confirmed, place_orders
from benchmarks.stacks import CountedStack, running, target_of
from local.workers import cpu_seconds, most_resident_bytes, workers

PARAMETERS = {"OrdersPerWorker": "10"}

_QUIET_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    orders: int
    at_once: int


LOADS = (Load(20, 1), Load(200, 50), Load(300, 100))
"""The more at once, the fuller the batches, and the less of a worker's waiting each order pays for."""
QUICK_LOADS = (Load(2, 1), Load(4, 4))


def measure(progress: Progress, *, quick: bool = False) -> Json:
    loads = QUICK_LOADS if quick else LOADS
    task = progress.add_task("cost", total=sum(load.orders for load in loads))
    with running(CountedStack, PARAMETERS) as stack:
        target = target_of(stack)
        # Every worker that any of the loads wants is there, and has imported all that it ever does.
        most = max(load.at_once for load in loads)
        asyncio.run(place_orders(target, 2 * most, most))
        _wait_until_quiet(stack)
        return {
            "parameters": PARAMETERS,
            "loads": [_measure_load(stack, target, load, lambda: progress.advance(task)) for load in loads],
        }


def _measure_load(stack: CountedStack, target: Target, load: Load, advance: Callable[[], None]) -> Json:
    start, size, cpu = time.time(), stack.counter_file.stat().st_size, _cpu(stack)
    seen = confirmed(asyncio.run(place_orders(target, load.orders, load.at_once, advance)))
    _wait_until_quiet(stack)
    used = {worker: seconds - cpu.get(worker, 0) for worker, seconds in _cpu(stack).items()}
    new_workers = sum(worker not in cpu for worker in used)
    lines = [line for line in stack.lines(since=size) if line["function"] in FUNCTIONS]
    result = {
        "orders": load.orders,
        "atOnce": load.at_once,
        "workersStartedMeanwhile": new_workers,
        "functions": {
            name: function(
                [line for line in lines if line["function"] == name],
                sum(seconds for (worker, _), seconds in used.items() if worker == name),
                max((most_resident_bytes(pid) for worker, pid in used if worker == name), default=0),
                load.orders,
            )
            for name in FUNCTIONS
        },
        "calls": calls(lines, load.orders),
    }
    return result | {"dollarsPerMillionOrders": bill(lines, seen, _log_bytes(stack, start))}


def _cpu(stack: CountedStack) -> dict[tuple[str, int], float]:
    return {(name, pid): cpu_seconds(pid) for name in FUNCTIONS for pid in workers(stack, name)}


def _wait_until_quiet(stack: CountedStack) -> None:
    """Nothing has been counted for a while: all orders are on record, and all sockets' ends are dealt with."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_SECONDS:
        time.sleep(0.1)
        if size != (size := stack.counter_file.stat().st_size):
            since = time.monotonic()


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


def tables(result: Json) -> list[Table]:
    return [
        table
        for load in result["loads"]
        for table in (
            _cpu_table(load),
            _call_table(load),
            bill_table(load["dollarsPerMillionOrders"], _title("Dollars", load)),
        )
    ]


def _title(what: str, load: Json) -> str:
    return f"{what}, {load['orders']} orders, {load['atOnce']} at once"


def _cpu_table(load: Json) -> Table:
    table = Table(
        "function", "CPU ms", "SDK", "own", "peak MB", "invocations", "messages each", "billed ms",
        title=_title("Processor time of an order", load),
        caption="SDK is inside its calls, own the rest of the handler; what the emulator's part of the process takes,"
        f" is in CPU only, and the counting in nothing. {load['workersStartedMeanwhile']} workers started meanwhile",
    )  # fmt: skip
    functions = load["functions"]
    for name, each in functions.items():
        table.add_row(
            name,
            *(f"{value:.1f}" for value in (each["cpuMs"], each["sdkCpuMs"], each["ownCpuMs"])),
            f"{each['peakMemoryMb']:.0f}",
            *(f"{each[key]:.2f}" for key in ("invocations", "messagesAnInvocation")),
            f"{each['billedMs']:.0f}",
        )
    sums = [sum(each[key] for each in functions.values()) for key in ("cpuMs", "sdkCpuMs", "ownCpuMs")]
    table.add_section()
    table.add_row("all", *(f"{value:.1f}" for value in sums))
    chain = sum(each["calls"] * each["cpuMsACall"] for each in load["calls"] if each["target"] == "chain")
    table.add_row("of these, calls of the chain", f"{chain:.1f}", f"{chain:.1f}")
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
    for name, is_chain in (("all but the chain's", False), ("the chain's", True)):
        made = [each for each in load["calls"] if (each["target"] == "chain") is is_chain]
        total, units = (sum(each[key] for each in made) for key in ("calls", "units"))
        table.add_row(name, "", "", "", f"{total:.2f}", "", f"{units:.2f}")
    return table
