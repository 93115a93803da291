"""What no message brings back, the sweep does: every order ends without anybody's help."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from local.stack import Stack
from tests.e2e.clients import Client, Json, faults_left, run, swaps_of

# What becomes of an order's message, and where its worker is killed at each of its three receives.
LOST = {
    "never sent": {"submit_order.queue.send": ("refuse", 1)},
    "lost on the way": {"submit_order.queue.send": ("drop", 1)},
    "neither told nor sent": {"submit_order.statuses.publish": ("refuse", 1), "submit_order.queue.send": ("refuse", 1)},
    "used up before submitting": {"execute_order.orders.save.submitted": ("crash-before", 3)},
    "used up after sending": {"execute_order.chain.send": ("crash-after", 3)},
    "used up before recording": {"execute_order.history.record": ("crash-before", 3)},
}


def test_orders_whose_messages_are_lost_or_used_up_are_confirmed_all_the_same(stack: Stack) -> None:
    """All at once: three receives take a minute and a half, and the sweep comes once a minute."""

    async def scenario(client: Client) -> list[Json]:
        return await asyncio.gather(*(survive(client, name) for name in LOST))

    for name, order in zip(LOST, run(stack, scenario), strict=True):
        assert order["status"] == "confirmed", name
        assert len(swaps_of(stack, order["orderId"])) == 1, name
        assert order["seen"] == order["events"], name
        assert [event["sequence"] for event in order["events"]] == list(range(1, order["sequence"] + 1)), name
        assert not any(faults_left(stack, order["orderId"]).values()), f"{name}: a fault never struck"


async def survive(client: Client, name: str) -> Json:
    # With a user, whose followers are to be told of the acceptance.
    order_id = await client.submit_with_faults(LOST[name], userId=f"user-{uuid4()}")
    async with client.watch(orderId=order_id) as watch:
        seen = await watch.end(seconds=240)
    await client.recorded(order_id, seconds=240)
    return await client.order(order_id) | {"seen": seen}


def test_a_sweep_can_be_asked_for_at_any_time_and_leaves_what_moves_alone(stack: Stack) -> None:
    async def scenario(client: Client) -> tuple[Json, Json]:
        accepted = await client.submit()
        seen = await asyncio.to_thread(sweep, stack)
        return seen, await client.outcome(accepted["orderId"])

    seen, order = run(stack, scenario)
    assert seen.keys() == {"looked_at", "reminded", "is_complete"}
    assert seen["is_complete"]
    assert order["sequence"] == 5


def sweep(stack: Stack) -> Json:
    """A run of watch_orders, as its schedule starts it."""
    functions = stack.client("lambda").list_functions()["Functions"]
    name = next(function["FunctionName"] for function in functions if "WatchOrders" in function["FunctionName"])
    answer = stack.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    assert "FunctionError" not in answer
    seen: Json = json.loads(answer["Payload"].read())
    return seen
