"""Faults of venues, chain, queues and database, each injected for one order at its fault point."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local.stack import Stack
from order_client.cli.aws import find_stack
from order_client.cli.dead_letters import chosen, dead_letters, replay
from order_client.cli.target import LOCAL_STACK, StackName
from tests.e2e.clients import HAPPY_PATH, Client, Json, faults_left, inject, run, swaps_of, until

POISON = "poison"
RETRIED_ONCE = ["pending", "routing", "building", "submitted", *HAPPY_PATH]


def execute(stack: Stack, faults: dict[str, tuple[str, int]], **order: Any) -> Json:
    """The order's end, after which it is recorded, its faults have struck, and what landed is what it says.

    `faults` are points of execute_order.
    """

    async def scenario(client: Client) -> Json:
        points = {f"execute_order.{point}": fault for point, fault in faults.items()}
        order_id = await client.submit_with_faults(points, **order)
        outcome = await client.outcome(order_id, seconds=90)
        await client.recorded(order_id, seconds=90)
        return outcome

    outcome: Json = run(stack, scenario)
    assert not any(faults_left(stack, outcome["orderId"]).values()), "a fault has not struck"
    assert len(swaps_of(stack, outcome["orderId"])) == (1 if outcome["status"] == "confirmed" else 0)
    assert [event["sequence"] for event in outcome["events"]] == list(range(1, outcome["sequence"] + 1))
    return outcome


def statuses(order: Json) -> list[str]:
    return [event["status"] for event in order["events"]]


@pytest.mark.parametrize("fault", ["refuse", "garble"])
def test_a_venue_that_is_down_or_answers_nonsense_is_no_failure_while_the_other_answers(
    stack: Stack, fault: str
) -> None:
    order = execute(stack, {"venues.meteora.quote": (fault, 1)})
    assert statuses(order) == HAPPY_PATH
    assert order["dex"] == "raydium"
    failed = next(quote for quote in order["events"][2]["quotes"] if quote["dex"] == "meteora")
    assert failed["errorCode"] == "VENUE_UNAVAILABLE"


def test_a_slow_venue_is_not_waited_for(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        return await client.outcome(await client.submit_slowly("execute_order.venues.meteora.quote", milliseconds=1500))

    order = run(stack, scenario)
    assert statuses(order) == HAPPY_PATH
    assert order["dex"] == "raydium"
    assert any(quote.get("errorCode") == "VENUE_TIMEOUT" for quote in order["events"][2]["quotes"])


def test_with_all_venues_down_the_order_waits_and_tries_again(stack: Stack) -> None:
    order = execute(stack, {"venues.meteora.quote": ("refuse", 1), "venues.raydium.quote": ("refuse", 1)})
    assert statuses(order) == ["pending", "routing", *HAPPY_PATH]
    retry = order["events"][2]
    assert (retry["errorCode"], retry["attempt"]) == ("VENUE_UNAVAILABLE", 1)
    assert retry["retryAt"] >= retry["timestamp"]


def test_a_slippage_revert_is_retried_under_the_same_floor(stack: Stack) -> None:
    order = execute(stack, {"chain.send": ("revert", 1)})
    assert statuses(order) == RETRIED_ONCE
    assert order["events"][4]["errorCode"] == "SLIPPAGE_TOLERANCE_EXCEEDED"
    floors = {event["minAmountOut"] for event in order["events"] if "minAmountOut" in event}
    assert len(floors) == 1


@pytest.mark.parametrize("fault", ["drop", "refuse", "lose"])
def test_a_send_that_was_dropped_refused_or_unanswered_is_repeated_with_the_same_bytes(
    stack: Stack, fault: str
) -> None:
    order = execute(stack, {"chain.send": (fault, 1)})
    assert statuses(order) == HAPPY_PATH


def test_a_chain_that_knows_nothing_for_a_while_is_asked_again(stack: Stack) -> None:
    assert statuses(execute(stack, {"chain.look_up": ("unknown", 4)})) == HAPPY_PATH


@pytest.mark.parametrize(
    "point",
    [
        *(f"orders.save.{status}" for status in ("routing", "submitted", "confirmed", "quiet")),
        "statuses.publish",
        "history.record",
    ],
)
def test_an_answer_lost_after_the_commit_changes_nothing(stack: Stack, point: str) -> None:
    assert statuses(execute(stack, {point: ("lose", 1)})) == HAPPY_PATH


@pytest.mark.parametrize("point", ["orders.save.routing", "orders.save.submitted", "history.record"])
def test_a_dependency_that_is_away_for_a_moment_costs_no_attempt(stack: Stack, point: str) -> None:
    order = execute(stack, {point: ("refuse", 2)})
    assert order["status"] == "confirmed"
    assert {event["attempt"] for event in order["events"]} == {1}


def test_three_failing_attempts_end_in_the_dead_letter_queue_and_a_replay_confirms(stack: Stack) -> None:
    order = execute(stack, {"chain.send": ("revert", 3)})
    assert order["status"] == "failed"
    assert order["errorCode"] == "ATTEMPTS_EXHAUSTED"
    assert "ExceededSlippage" in order["error"] or "ExceededAmountSlippageTolerance" in order["error"]
    assert statuses(order).count("failed") == 1

    async def replay_it(client: Client) -> Json:
        async with client.watch(orderId=order["orderId"], after=order["sequence"]) as watch:
            await until(lambda: asyncio.to_thread(has_replayed, stack, order["orderId"]), 30, "a dead letter")
            await watch.end()
            assert watch.statuses() == HAPPY_PATH
        await client.recorded(order["orderId"])
        return await client.order(order["orderId"])

    replayed = run(stack, replay_it)
    assert replayed["status"] == "confirmed"
    assert len(swaps_of(stack, order["orderId"])) == 1
    floors = {event["minAmountOut"] for event in replayed["events"] if "minAmountOut" in event}
    assert len(floors) == 1


def has_replayed(stack: Stack, order_id: str) -> bool:
    aws = find_stack(StackName(LOCAL_STACK, stack.endpoints.region, stack.endpoints.aws))
    with dead_letters(aws) as letters:
        found = chosen(letters, [order_id])
        for letter in found:
            replay(aws, letter)
    return bool(found)


def test_what_will_never_work_fails_at_once(stack: Stack) -> None:
    order = execute(stack, {}, tokenIn="JUP", tokenOut="BONK", amount="1")
    assert statuses(order) == ["pending", "routing", "failed"]
    assert order["errorCode"] == "NO_ROUTE_FOUND"


def test_an_order_that_asks_too_much_of_the_pools_fails_with_the_reason(stack: Stack) -> None:
    order = execute(stack, {}, amount="900000")
    assert order["status"] == "failed"
    assert order["errorCode"] in {"INSUFFICIENT_LIQUIDITY", "PRICE_IMPACT_TOO_HIGH"}


def test_with_postgres_down_orders_are_confirmed_and_their_history_follows(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        stack.postgres.stop()
        try:
            accepted = await client.submit()
            async with client.watch(orderId=accepted["orderId"]) as watch:
                await watch.end()
                assert watch.statuses() == HAPPY_PATH
            listing = await client.http.get("/api/orders")
            assert listing.status_code == 503
            assert listing.json()["code"] == "HISTORY_UNAVAILABLE"
            health = await client.http.get("/health")
            assert health.json()["parts"]["postgres"] != "ok"
        finally:
            stack.postgres.start()
        await client.recorded(accepted["orderId"], seconds=90)
        listed = (await client.http.get("/api/orders", params={"limit": 100})).json()["orders"]
        found: Json = next(order for order in listed if order["orderId"] == accepted["orderId"])
        return found

    assert run(stack, scenario)["status"] == "confirmed"


def test_a_message_that_is_none_ends_in_the_dead_letter_queue_and_blocks_nobody(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        stack.client("sqs").send_message(QueueUrl=stack.outputs["OrderQueueUrl"], MessageBody=POISON)
        order = await client.outcome((await client.submit())["orderId"])
        await until(lambda: asyncio.to_thread(is_a_dead_letter, stack, POISON), 30, "poison as a dead letter")
        return order

    assert run(stack, scenario)["status"] == "confirmed"


def is_a_dead_letter(stack: Stack, body: str) -> bool:
    url = stack.outputs["OrderDeadLetterQueueUrl"]
    answer = stack.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return body in [message["Body"] for message in answer.get("Messages", [])]


def test_a_fault_for_one_order_is_none_for_another(stack: Stack) -> None:
    inject(stack, "somebody-elses", {"execute_order.chain.send": ("revert", 3)})
    assert statuses(execute(stack, {})) == HAPPY_PATH
    assert faults_left(stack, "somebody-elses") == {"execute_order.chain.send": 3}
