"""A quote and an execution at the same moment come to the same route and the same floor."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from order_engine.domain import events
from order_engine.domain.errors import AttemptFailed, InvalidOrder
from order_engine.service.accept_order import MAX_LIFETIME
from order_engine.service.quote_order import QuoteOrder
from tests.fakes import NOON
from tests.unit.test_execute_order import Bench


def quoting(bench: Bench) -> QuoteOrder:
    return QuoteOrder(venues=lambda: bench.engine.venues, clock=bench.clock, policy=bench.engine.policy)


@pytest.mark.parametrize("request_fields", [{}, {"limit": 300_000_000}], ids=["slippage", "the client's own floor"])
def test_what_is_quoted_is_what_the_execution_says_at_that_moment(request_fields: dict[str, Any]) -> None:
    bench = Bench()
    bench.accept(**request_fields)
    quotation = asyncio.run(quoting(bench)(bench.order.request))
    bench.execute()
    said = events.building(quotation.answers, quotation.route) | events.limit_fact(quotation.swap, quotation.limit)
    building = bench.order.events[2]
    assert said == {name: building[name] for name in said}


@pytest.mark.parametrize("trouble", ["floor", "impact"])
def test_what_cannot_be_executed_is_refused_as_the_execution_fails(trouble: str) -> None:
    bench = Bench()
    bench.accept(**({"limit": 10**12} if trouble == "floor" else {}))
    if trouble == "impact":
        policy = replace(bench.engine.policy, max_impact_bps=Decimal(4))
        bench.engine = replace(bench.engine, policy=policy)
    with pytest.raises(AttemptFailed) as refused:
        asyncio.run(quoting(bench)(bench.order.request))
    bench.execute()
    event = bench.order.events[-1]
    assert (event["errorCode"], event["error"]) == (refused.value.code, refused.value.detail)


@pytest.mark.parametrize("expires_in", [timedelta(0), MAX_LIFETIME + timedelta(seconds=1)])
def test_an_order_that_would_not_be_accepted_is_not_quoted(expires_in: timedelta) -> None:
    bench = Bench()
    bench.accept(expires_at=NOON + expires_in)
    with pytest.raises(InvalidOrder, match="expiresAt"):
        asyncio.run(quoting(bench)(bench.order.request))
