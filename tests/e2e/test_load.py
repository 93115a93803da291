"""As many orders as the machine can take, and everybody watches: all seen in order, and no function's memory grows.

LOAD_ORDERS=1000 pytest tests/e2e/test_load.py
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable
from uuid import uuid4

import pytest

from local.stack import Stack
from local.workers import resident_bytes, workers
from order_engine.domain.orders import Status
from tests.e2e.audit import all_settled, assert_nothing_lost_nothing_swapped_twice
from tests.e2e.clients import SELL_SOL, Client, client_of
from tests.e2e.follower import Follower
from tests.e2e.stacks import running_stack
from tests.e2e.workers import needs_proc

ORDERS = int(os.environ.get("LOAD_ORDERS", "300"))
ORDERS_PER_CLIENT = 5

# Nothing takes time but what we do ourselves.
PARAMETERS = {
    "QuoteDelayMs": "0",
    "LandingMinMs": "0",
    "LandingMaxMs": "0",
    "RevertRate": "0",
}

MEGABYTE = 1_000_000
MOST_GROWTH_BYTES = 12 * MEGABYTE
"""Of a worker from the middle of the run to its end. They start at about 50 MB and grow while they warm up; one that
kept a mere 20 kB of each order would be over this with a thousand."""


@needs_proc
@pytest.mark.parametrize("orders_per_worker", [1, 10])
def test_every_client_sees_all_its_events_in_order_and_memory_is_steady(
    report: Callable[[str], None], orders_per_worker: int
) -> None:
    with running_stack("load", PARAMETERS | {"OrdersPerWorker": str(orders_per_worker)}) as stack:
        asyncio.run(scenario(stack, report))


async def scenario(stack: Stack, report: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    async with client_of(stack) as client:
        followers = [Follower(stack, quiet_seconds=15) for _ in range(ORDERS // ORDERS_PER_CLIENT)]
        connections = [asyncio.create_task(follower.run()) for follower in followers]
        await asyncio.gather(*(follower.is_connected.wait() for follower in followers))

        memory = Memory(stack)
        sampling = asyncio.create_task(memory.sample())
        begin = loop.time()
        submitted = await asyncio.gather(*(submit_five(client, follower) for follower in followers))
        accepted = loop.time() - begin
        order_ids = {order_id for five in submitted for order_id, _ in five}
        ends = [await follower.end(order_id, 240) for follower in followers for order_id in follower.events]
        ended = loop.time() - begin
        sampling.cancel()
        await all_settled(stack, order_ids, 60)

        assert await asyncio.to_thread(assert_nothing_lost_nothing_swapped_twice, stack, order_ids) == {
            Status.CONFIRMED: ORDERS
        }
        repeats, gaps = sum(f.repeats for f in followers), sum(f.gaps for f in followers)
        repeated = sum(repeats for five in submitted for _, repeats in five)
        reconnections = sum(follower.connections - 1 for follower in followers)
        report(
            f"{ORDERS} orders accepted in {accepted:.1f} s ({ORDERS / accepted:.0f}/s, {repeated} asked again), and"
            f" confirmed to {len(followers)} clients in {ended:.1f} s ({ORDERS / ended:.0f}/s);"
            f" {repeats} repeats, {gaps} gaps filled, {reconnections} reconnections; {memory.summary()}"
        )
        for seen in ends:
            assert [event["sequence"] for event in seen] == list(range(1, 6))
            assert [event["status"] for event in seen] == ["pending", "routing", "building", "submitted", "confirmed"]
        growth = memory.growth()
        assert growth, "no worker lived through the second half"
        assert max(growth.values()) <= MOST_GROWTH_BYTES, f"by worker: {growth}"
        for connection in connections:
            connection.cancel()


async def submit_five(client: Client, follower: Follower) -> list[tuple[str, int]]:
    """Each with how often it had to be repeated: a machine that is asked too much answers 503 or late."""
    submitted = []
    for _ in range(ORDERS_PER_CLIENT):
        response, repeats = await client.submit_until_answered(f"load-{uuid4()}", **SELL_SOL)
        assert response.status_code == 202, response.text
        order_id: str = response.json()["orderId"]
        submitted.append((order_id, repeats))
        await follower.follow(order_id)
    return submitted


class Memory:
    """What the workers of each function have resident, twice a second."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._samples: list[dict[tuple[str, int], int]] = []

    async def sample(self) -> None:
        while True:
            self._samples.append(await asyncio.to_thread(self._read))
            await asyncio.sleep(0.5)

    def growth(self) -> dict[tuple[str, int], int]:
        """Bytes, from the middle of the run to its end, of each worker (its function, its pid) alive at both."""
        middle, end = self._samples[len(self._samples) // 2], self._samples[-1]
        return {worker: end[worker] - middle[worker] for worker in middle.keys() & end.keys()}

    def summary(self) -> str:
        sizes, growth = defaultdict(list), defaultdict(list)
        for (function, _), size in self._samples[-1].items():
            sizes[function].append(size / MEGABYTE)
        for (function, _), more in self.growth().items():
            growth[function].append(more / MEGABYTE)
        return ", ".join(
            f"{function} {len(each)} workers of up to {max(each):.0f} MB,"
            f" {max(growth[function], default=0):+.1f} MB at most in the second half"
            for function, each in sizes.items()
        )

    def _read(self) -> dict[tuple[str, int], int]:
        return {
            (function, pid): resident_bytes(pid)
            for function in ("SubmitOrder", "ExecuteOrder", "WsConnect", "WsNotify")
            for pid in workers(self._stack, function)
        }
