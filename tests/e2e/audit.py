"""What must hold of every order in the end, whatever has happened to it on the way, as the stores have it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import psycopg

from local.stack import Stack
from order_engine.adapters import items
from order_engine.domain.orders import Order, Status
from tests.e2e.clients import Json, ledger, until


def stored_orders(stack: Stack) -> dict[str, Order]:
    """Every order in the table."""
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["OrdersTableName"],
            FilterExpression="sk = :order",
            ExpressionAttributeValues={":order": {"S": "ORDER"}},
            ConsistentRead=True,
        )
    )
    orders = [items.order(item) for page in pages for item in page["Items"]]
    return {order.order_id: order for order in orders}


async def all_settled(stack: Stack, order_ids: set[str], seconds: float) -> None:
    """Waits until each has ended, everybody has been told, and it is in the history."""
    unsettled: dict[str, str] = {}

    async def are_settled() -> bool:
        nonlocal unsettled
        orders = await asyncio.to_thread(stored_orders, stack)
        unsettled = {
            order_id: f"{order.status}, events {order.sequence}, told {order.sent_through}, in {order.recorded_through}"
            for order_id, order in orders.items()
            if order_id in order_ids and not order.is_settled
        }
        return not unsettled

    try:
        await until(are_settled, seconds, "all orders settled")
    except AssertionError as error:
        raise AssertionError(f"{len(unsettled)} of {len(order_ids)} not settled: {unsettled}") from error


def assert_nothing_lost_nothing_swapped_twice(stack: Stack, order_ids: set[str]) -> Counter[str]:
    """The orders by their ends."""
    orders = {order_id: order for order_id, order in stored_orders(stack).items() if order_id in order_ids}
    assert orders.keys() == order_ids, "an accepted order is gone"
    history, landed = _history(stack), _landed(stack)
    for order_id, order in orders.items():
        assert order.is_settled, f"{order_id} is unfinished: {order.status}"
        events = list(order.events)
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1)), order_id
        assert not any(Status(event["status"]).is_terminal for event in events[:-1]), f"{order_id} ended early"
        assert history.get(order_id) == events, f"the history of {order_id} is another one"
        swaps = [events[-1]["txHash"]] if order.status is Status.CONFIRMED else []
        assert landed[order_id] == swaps, f"{order_id} is {order.status}, and {len(landed[order_id])} of it landed"
    return Counter(order.status.value for order in orders.values())


def _landed(stack: Stack) -> dict[str, list[str]]:
    """The signatures that landed, by order."""
    found = defaultdict(list)
    for entry in ledger(stack):
        if entry["outcome"] == "landed":
            found[entry["orderId"]].append(entry["signature"])
    return found


def _history(stack: Stack) -> dict[str, list[Json]]:
    """The events in Postgres, by order, of those whose own row says how many there are."""
    with psycopg.connect(stack.endpoints.postgres) as connection:
        rows = connection.execute(
            "SELECT orders.id, array_agg(told.payload ORDER BY told.sequence)"
            " FROM orders JOIN order_status_history AS told ON told.order_id = orders.id"
            " GROUP BY orders.id HAVING max(told.sequence) = orders.sequence AND count(*) = orders.sequence"
        )
        return dict(rows.fetchall())
