"""Everything at once, while orders flow: in the end nothing is lost and nothing swapped twice, with nobody's help.

    CHAOS_ORDERS=300 CHAOS_SECONDS=60 CHAOS_SEED=7 pytest tests/e2e/test_chaos.py

The seed chooses what goes wrong, when and for how long; what it hits depends on the moment. A failure names the seed.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from local.stack import Stack
from local.workers import workers
from order_engine.domain.orders import Status
from order_engine.service.accept_order import PUBLIC, order_id_under
from tests.e2e.audit import all_settled, assert_nothing_lost_nothing_swapped_twice, stored_orders
from tests.e2e.clients import Client, client_of
from tests.e2e.follower import Follower
from tests.e2e.proxy import FINE, Proxy, Weather, proxied
from tests.e2e.stacks import running_stack
from tests.e2e.workers import kill, needs_proc

ORDERS = int(os.environ.get("CHAOS_ORDERS", "100"))
SECONDS = float(os.environ.get("CHAOS_SECONDS", "25"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

ORDERS_PER_CLIENT = 5
RECOVERY_SECONDS = 300

PARAMETERS = {
    "QuoteDelayMs": "50",
    "LandingMinMs": "500",
    "LandingMaxMs": "1500",
    "RevertRate": "0.1",
    "DropRate": "0.1",
}

VICTIMS = {"ExecuteOrder": 5, "SubmitOrder": 2, "WsConnect": 2, "WsNotify": 2, "WatchOrders": 1}
"""How often the workers of each function are killed, compared with the others."""

WEATHERS = [
    FINE,
    Weather(late=0.3, delay_seconds=0.5),
    Weather(cut=0.05),
    Weather(cut=0.2),
    # Longer than the functions wait for an answer: they ask again, and what they had asked for has been done.
    Weather(late=0.05, delay_seconds=4),
    Weather(cut=0.1, late=0.2, delay_seconds=1),
]


@pytest.fixture
def chaotic_stack() -> Iterator[Stack]:
    with running_stack("chaos", PARAMETERS) as running:
        yield running


@needs_proc
def test_whatever_goes_wrong_no_order_is_lost_stuck_or_swapped_twice(
    chaotic_stack: Stack, report: Callable[[str], None]
) -> None:
    try:
        asyncio.run(scenario(chaotic_stack, report))
    except BaseException as error:
        error.add_note(f"CHAOS_ORDERS={ORDERS} CHAOS_SECONDS={SECONDS:g} CHAOS_SEED={SEED}")
        raise


async def scenario(stack: Stack, report: Callable[[str], None]) -> None:
    async with proxied(stack, Random(f"{SEED}:proxy")) as proxy, client_of(stack) as client:
        customers = [Customer(client, number) for number in range(ORDERS // ORDERS_PER_CLIENT)]
        trouble = asyncio.create_task(chaos(stack, proxy))
        submitted = await asyncio.gather(*(customer.submit_orders() for customer in customers))
        happened = await trouble
        order_ids = {order_id for ids in submitted for order_id in ids}
        calm = asyncio.get_running_loop().time()
        await all_settled(stack, order_ids, RECOVERY_SECONDS)
        settled_after = asyncio.get_running_loop().time() - calm
        # They have been told by then, or their next ping finds what is missing.
        await asyncio.gather(*(customer.see_all(60) for customer in customers))
        seen_after = asyncio.get_running_loop().time() - calm
        ends = await asyncio.to_thread(assert_nothing_lost_nothing_swapped_twice, stack, order_ids)
        stayed = [customer for customer in customers if not customer.vanishes]
        report(
            f"seed {SEED}: {said(happened)}, {proxy.troubles} answers late or cut,"
            f" {sum(customer.retries for customer in customers)} submissions repeated;"
            f" {sum(ends.values())} orders {said(ends)}, settled {settled_after:.0f} s and all seen {seen_after:.0f} s"
            f" after the last trouble; {len(stayed)} of {len(customers)} clients stayed, with"
            f" {sum(customer.follower.connections - 1 for customer in stayed)} reconnections,"
            f" {sum(customer.follower.repeats for customer in stayed)} repeats,"
            f" {sum(customer.follower.gaps for customer in stayed)} gaps filled"
        )
        too_late = sum(customer.too_late for customer in customers)
        assert len(order_ids) + too_late == len(customers) * ORDERS_PER_CLIENT
        assert order_ids == (await asyncio.to_thread(stored_orders, stack)).keys()
        assert ends[Status.CONFIRMED] > len(order_ids) / 2, "too little was executed to show anything"
        for customer in customers:
            customer.leave()


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


async def chaos(stack: Stack, proxy: Proxy) -> Counter[str]:
    """For so many seconds; fine again afterwards. What happened, by its kind."""
    happened: Counter[str] = Counter()
    # It ends by itself, and with a Postgres that runs.
    postgres = asyncio.create_task(stop_postgres_twice(stack, Random(f"{SEED}:postgres"), happened))
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(
                kill_workers(stack, Random(f"{SEED}:workers"), happened),
                change_weather(proxy, Random(f"{SEED}:weather"), happened),
            )
    proxy.weather = FINE
    await postgres
    return happened


async def kill_workers(stack: Stack, random: Random, happened: Counter[str]) -> None:
    while True:
        await asyncio.sleep(random.uniform(0.2, 1.5))
        (function,) = random.choices(list(VICTIMS), list(VICTIMS.values()))
        choice = random.random()
        if pids := workers(stack, function):
            kill(pids[int(choice * len(pids))])
            happened[f"{function} killed"] += 1


async def change_weather(proxy: Proxy, random: Random, happened: Counter[str]) -> None:
    while True:
        proxy.weather = random.choice(WEATHERS)
        happened["weathers"] += 1
        await asyncio.sleep(random.uniform(1, 4))


async def stop_postgres_twice(stack: Stack, random: Random, happened: Counter[str]) -> None:
    for _ in range(2):
        await asyncio.sleep(random.uniform(0.05, 0.2) * SECONDS)
        await asyncio.to_thread(stack.postgres.stop)
        happened["Postgres stopped"] += 1
        await asyncio.sleep(random.uniform(0.1, 0.25) * SECONDS)
        await asyncio.to_thread(stack.postgres.start)


class Customer:
    """Places orders now and then and follows them on one socket, which breaks once. Every third one vanishes then.

    Every other one follows its user, the rest each order by itself.
    """

    def __init__(self, client: Client, number: int) -> None:
        self.retries = 0
        self.too_late = 0
        self.vanishes = number % 3 == 2
        self.user_id = f"customer-{number}" if number % 2 else None
        self.follower = Follower(client.stack, self.user_id)
        self._client = client
        self._number = number
        self._random = Random(f"{SEED}:customer:{number}")
        self._following = asyncio.create_task(self.follower.run())
        moment = self._random.uniform(0.2, 1) * SECONDS
        trouble = self.follower.vanish if self.vanishes else self.follower.lose_connection
        asyncio.get_running_loop().call_later(moment, trouble)

    async def submit_orders(self) -> list[str]:
        moments = sorted(self._random.uniform(0, 0.95 * SECONDS) for _ in range(ORDERS_PER_CLIENT))
        begin = asyncio.get_running_loop().time()
        order_ids = []
        for position, moment in enumerate(moments):
            await asyncio.sleep(begin + moment - asyncio.get_running_loop().time())
            order_id = await self._submit(f"{SEED}-{self._number}-{position}", self._order(position))
            if order_id is None:
                self.too_late += 1
            else:
                order_ids.append(order_id)
                await self.follower.follow(order_id)
        return order_ids

    async def see_all(self, seconds: float) -> None:
        """What it has seen when it stayed is what the order has."""
        if self.vanishes:
            return
        for order_id in list(self.follower.events):
            seen = await self.follower.end(order_id, seconds)
            assert seen == (await self._client.order(order_id))["events"]

    def leave(self) -> None:
        self._following.cancel()

    def _order(self, position: int) -> dict[str, Any]:
        order: dict[str, Any] = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": str(position + 1)}
        if self.user_id is not None:
            order["userId"] = self.user_id
        if self._random.random() < 0.1:
            order["expiresAt"] = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
        return order

    async def _submit(self, key: str, order: dict[str, Any]) -> str | None:
        """None when its `expiresAt` has passed before anybody could take it."""
        response, repeats = await self._client.submit_until_answered(key, **order)
        self.retries += repeats
        if response.status_code == 422 and response.json()["errors"][0]["pointer"] == "#/expiresAt":
            return None
        assert response.status_code == 202, response.text
        order_id = str(response.json()["orderId"])
        assert order_id == order_id_under(self.user_id or PUBLIC, key)
        return order_id
