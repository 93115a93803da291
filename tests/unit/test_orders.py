"""The state machine, arrow by arrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from order_engine.domain.errors import AttemptFailed, ErrorCode, IllegalTransition
from order_engine.domain.orders import PROGRESS, TERMINAL, TRANSITIONS, Lease, Order, Status
from order_engine.domain.quotes import SwapMode
from order_engine.domain.summaries import OrderSummary
from order_engine.domain.transactions import Transaction
from tests.builders import (
    BUY_SOL,
    SELL_SOL,
    SLIPPED,
    a_confirmed_order,
    a_failed_order,
    a_fill,
    a_route,
    an_expired_order,
    an_order,
    answers,
    claim,
    submit,
)
from tests.fakes import NOON

LATER = NOON + timedelta(minutes=1)
HOPELESS = AttemptFailed(ErrorCode.NO_ROUTE_FOUND, "No venue has a pool", may_work=False)


def routed(order: Order) -> Order:
    return order.routed(answers(order.request.swap), a_route(order.request.swap), LATER)


ORDERS: dict[Status, Order] = {
    Status.PENDING: an_order(),
    Status.ROUTING: claim(an_order()),
    Status.BUILDING: routed(claim(an_order())),
    Status.SUBMITTED: submit(an_order()),
    Status.CONFIRMED: a_confirmed_order(),
    Status.FAILED: a_failed_order(),
    Status.EXPIRED: an_expired_order(),
}

STEPS: dict[Status, Callable[[Order], Order]] = {
    Status.PENDING: lambda order: (
        order.replayed("claim", LATER) if order.status is Status.FAILED else order.retrying(SLIPPED, LATER, LATER)
    ),
    # A claim of an order with a transaction on record is no arrow of its own: it stays submitted.
    Status.ROUTING: lambda order: replace(order, transaction=None).claimed(Lease("c", "m", "t", LATER), LATER),
    Status.BUILDING: routed,
    Status.SUBMITTED: lambda order: replace(order, limit=1, route=a_route()).submitted(
        Transaction("signature", b"", 1), LATER
    ),
    Status.CONFIRMED: lambda order: replace(
        order, route=a_route(), transaction=Transaction("signature", b"", 1)
    ).confirmed(a_fill(a_route()), LATER),
    Status.FAILED: lambda order: order.failed(HOPELESS, LATER),
    Status.EXPIRED: lambda order: order.expired("claim", LATER),
}


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_only_the_arrows_of_the_table_exist(before: Status, after: Status) -> None:
    if after in TRANSITIONS[before]:
        moved = STEPS[after](ORDERS[before])
        assert moved.status is after
        assert moved.sequence == ORDERS[before].sequence + 1
        assert moved.events[-1]["progress"] == PROGRESS[after]
    else:
        with pytest.raises(IllegalTransition):
            STEPS[after](ORDERS[before])


def test_every_status_has_its_row_and_its_progress() -> None:
    assert set(TRANSITIONS) == set(PROGRESS) == set(Status)
    assert {status for status in Status if PROGRESS[status] == 100} == TERMINAL


def test_an_order_with_a_transaction_on_record_is_claimed_without_a_visible_change() -> None:
    submitted = submit(an_order()).released()
    held = submitted.claimed(Lease("claim", "message", "token", LATER), LATER)
    assert (held.status, held.sequence, held.fence) == (Status.SUBMITTED, submitted.sequence, submitted.fence + 1)
    assert held.transaction == submitted.transaction


def test_every_event_has_the_fields_that_all_clients_read() -> None:
    for order in ORDERS.values():
        for number, event in enumerate(order.events, start=1):
            assert event["sequence"] == number
            assert event["orderId"] == order.order_id
            assert event.keys() >= {"status", "progress", "attempt", "timestamp", "message"}


def test_the_floor_is_fixed_once() -> None:
    first = routed(claim(an_order()))
    again = first.retrying(SLIPPED, LATER, LATER)
    worse = replace(a_route(), amount_out=1)
    assert claim(again).routed(answers(), worse, LATER).limit == first.limit


@pytest.mark.parametrize(("swap", "limit"), [(SELL_SOL, 222_872_221), (BUY_SOL, 228_384_691)])
def test_the_floor_is_rounded_for_the_client(swap: object, limit: int) -> None:
    """225.123456 less 1 %, rounded down; 226.123456 plus 1 %, rounded up."""
    order = routed(claim(an_order(swap=swap)))  # type: ignore[arg-type]
    assert order.limit == limit


def test_attempts_are_counted_in_the_events() -> None:
    order = an_order()
    for attempt in (1, 2):
        order = claim(order)
        assert order.events[-1]["attempt"] == attempt
        order = order.retrying(SLIPPED, LATER, LATER)
        assert (order.events[-1]["status"], order.events[-1]["attempt"]) == ("pending", attempt)
    order = claim(order)
    assert order.is_last_attempt
    assert order.failed(SLIPPED, LATER).events[-1]["attempt"] == 3


def test_only_an_exhausted_order_is_replayed() -> None:
    assert a_failed_order().replayed("claim", LATER).failed_attempts == 0
    with pytest.raises(IllegalTransition):
        claim(an_order()).failed(HOPELESS, LATER).replayed("claim", LATER)


def test_a_failed_attempt_keeps_the_signature_of_its_transaction() -> None:
    event = submit(an_order()).retrying(SLIPPED, LATER, LATER).events[-1]
    assert event["signature"] == "signature-of-order-1"
    assert event["dex"] == "meteora"


def test_a_confirmed_event_says_what_was_swapped() -> None:
    event = a_confirmed_order().events[-1]
    assert event["txHash"] == "signature-of-order-1"
    assert (event["amountIn"], event["amountOut"]) == ("1.5", "225.123456")
    assert event["executedPrice"] == event["finalPrice"] == "150.082304"
    assert event["fees"]["network"] == {"token": "SOL", "amount": "0.000005"}
    assert event["slippageBps"] == "0"


def test_a_price_has_twelve_significant_digits_whatever_its_size() -> None:
    event = a_confirmed_order(swap=BUY_SOL).events[-1]
    assert event["executedPrice"] == "0.0066335444652"


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_a_summary_says_where_the_order_stands(order: Order) -> None:
    summary = OrderSummary.of(order)
    assert (summary.status, summary.sequence) == (order.status, order.sequence)
    assert (summary.error_code is not None) == (order.status in {Status.FAILED, Status.EXPIRED})
    assert (summary.transaction_hash is not None) == (order.status is Status.CONFIRMED)
    assert summary.min_amount_out is None or order.request.swap.mode is SwapMode.EXACT_IN
