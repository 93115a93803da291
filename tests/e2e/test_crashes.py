"""A worker killed between any two steps: after redelivery exactly one swap has landed, and the client saw it all."""

from __future__ import annotations

import asyncio

from local.stack import Stack
from tests.e2e.clients import Client, Json, faults_left, ledger, run

# Every call that execute_order makes for a new order, in the order of the protocol.
STEPS = [
    "orders.save.routing",
    "venues.raydium.quote",
    "venues.meteora.quote",
    "chain.height",
    "orders.save.submitted",
    "chain.send",
    "chain.look_up",
    "orders.save.confirmed",
    "statuses.publish",
    "history.record",
    "orders.save.quiet",
]
CRASHES = [(step, when) for step in STEPS for when in ("crash-before", "crash-after")]


def test_a_worker_killed_between_any_two_steps_leaves_exactly_one_swap(stack: Stack) -> None:
    """All crashes at once, one order each: redelivery takes half a minute, and they wait for it together."""

    async def scenario(client: Client) -> list[Json]:
        return await asyncio.gather(*(survive(client, step, when) for step, when in CRASHES))

    orders = run(stack, scenario)
    landed = [entry["orderId"] for entry in ledger(stack) if entry["outcome"] == "landed"]
    for (step, when), order in zip(CRASHES, orders, strict=True):
        point = f"{when} {step}"
        assert order["status"] == "confirmed", point
        assert landed.count(order["orderId"]) == 1, point
        assert [event["sequence"] for event in order["events"]] == list(range(1, order["sequence"] + 1)), point
        assert order["seen"] == order["events"], point
        assert not any(faults_left(stack, order["orderId"]).values()), f"{point} never struck"


async def survive(client: Client, step: str, when: str) -> Json:
    """The order, and what a client that watched it all along has seen."""
    order_id = await client.submit_with_faults({f"execute_order.{step}": (when, 1)})
    async with client.watch(orderId=order_id) as watch:
        seen = await watch.end(seconds=120)
    await client.recorded(order_id, seconds=120)
    return await client.order(order_id) | {"seen": seen}
