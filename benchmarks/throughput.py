"""Orders per second, beside what the number of workers and the delays of venues and chain allow."""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.progress import Progress
from rich.table import Table

from benchmarks.chain import delays
from benchmarks.dialects import Json
from benchmarks.load import confirmed, place_orders
from benchmarks.stacks import running, target_of
from local.stack import Stack
from local.workers import PROC, cpu_seconds, parent, workers

WORKERS = 10
NO_DELAYS = {"QuoteDelayMs": "0", "LandingMinMs": "0", "LandingMaxMs": "0"}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    orders_per_worker: int
    orders: int
    at_once: int
    parameters: dict[str, str] = field(default_factory=dict)


CASES = (
    Case("default delays", 1, 300, 300),
    Case("default delays", 10, 60, 60),
    Case("default delays", 10, 300, 300),
    Case("no delays", 1, 300, 50, NO_DELAYS),
    Case("no delays", 10, 300, 50, NO_DELAYS),
)
QUICK_CASES = (Case("no delays", 10, 10, 5, NO_DELAYS),)


def measure(progress: Progress, *, quick: bool = False) -> Json:
    cases = QUICK_CASES if quick else CASES
    task = progress.add_task("throughput", total=sum(case.orders for case in cases))
    return {
        "cases": [_measure_case(case, lambda: progress.advance(task)) for case in cases],
    }


def _measure_case(case: Case, advance: Callable[[], None]) -> Json:
    parameters = case.parameters | {"OrdersPerWorker": str(case.orders_per_worker)}
    with running(Stack, parameters) as stack:
        target = target_of(stack)
        in_flight = WORKERS * case.orders_per_worker
        # Until every worker is there and has imported all that it ever does.
        asyncio.run(place_orders(target, 2 * WORKERS, 2 * WORKERS))
        before = _cpu(stack)
        seen = confirmed(asyncio.run(place_orders(target, case.orders, case.at_once, advance)))
        used = {name: seconds - before[name] for name, seconds in _cpu(stack).items()}
        known = delays(stack, parameters)
        in_order = sorted((known[each.order_id] for each in seen), key=lambda each: each.sent_at)
        seconds = max(each.ended_at for each in seen) - min(each.sent_at for each in seen)
        return {
            "name": case.name,
            "ordersPerWorker": case.orders_per_worker,
            "orders": case.orders,
            "atOnce": case.at_once,
            "seconds": seconds,
            "ordersPerSecond": case.orders / seconds,
            "leastSeconds": least_seconds((each.configured for each in in_order), in_flight),
            "leastSecondsWithSlots": least_seconds((each.configured + each.slot_wait for each in in_order), in_flight),
            "cpuShare": {name: value / (seconds * (os.cpu_count() or 1)) for name, value in used.items()},
        }


def least_seconds(durations: Iterable[float], places: int) -> float:
    """When the last would be done, were each begun as soon as a place is free, and nothing but its duration needed."""
    free_at = [0.0] * places
    for duration in durations:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def _cpu(stack: Stack) -> dict[str, float]:
    """Seconds used so far, by whom; by the others, also what is none of ours."""
    pids = workers(stack)
    busy, ticks = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9], os.sysconf("SC_CLK_TCK")
    idle = int(busy[3]) + int(busy[4])
    used = {
        "functions": sum(cpu_seconds(pid) for pid in pids),
        "emulator": cpu_seconds(parent(pids[0])),
        "load generator": time.process_time(),
    }
    return used | {"others": (sum(map(int, busy)) - idle) / ticks - sum(used.values())}


def tables(result: Json) -> list[Table]:
    table = Table(
        "delays", "orders a worker", "orders", "at once", "seconds", "orders/s", "of what the delays allow",
        "and the slots", "CPU: functions", "emulator", "load generator", "others",
        title="Throughput",
        caption="From the first POST to the last confirmed frame. What the delays allow: ten workers, each with so many"
        " orders, that do nothing but wait for the quotes and landings drawn in this run (and for the chain's slots)."
        " CPU is of all cores; the others are Postgres and whatever else the machine is doing",
    )  # fmt: skip
    for case in result["cases"]:
        shares = [case[least] / case["seconds"] for least in ("leastSeconds", "leastSecondsWithSlots")]
        table.add_row(
            case["name"],
            *(str(case[key]) for key in ("ordersPerWorker", "orders", "atOnce")),
            f"{case['seconds']:.1f}",
            f"{case['ordersPerSecond']:.1f}",
            *(f"{share:.0%}" if case["name"] != "no delays" else "-" for share in shares),
            *(f"{share:.0%}" for share in case["cpuShare"].values()),
        )
    return [table]
