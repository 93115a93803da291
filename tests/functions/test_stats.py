"""`GET /api/stats`: numbers of the last hour, and null for what cannot be read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from order_engine.domain.errors import Unavailable
from order_engine.domain.orders import Order
from order_engine.domain.statistics import QueueDepth
from order_engine.service.read_stats import SHARED_FOR
from tests.builders import a_confirmed_order, a_failed_order, an_expired_order, an_order
from tests.fakes import NOON, FixedGauge, InMemoryOrders
from tests.functions.api import Api

OF_POSTGRES = {
    *("confirmed", "failed", "expired", "successRate", "perMinute"),
    *("timeToConfirmMs", "priceImprovementBps", "failures"),
}


def record(api: Api, *orders: Order) -> None:
    async def record_all() -> None:
        for number, order in enumerate(orders):
            await api.history.record(replace(order, order_id=f"{number:08}-0000-4000-8000-000000000000"))

    asyncio.run(record_all())


def test_orders_are_counted_in_the_minute_in_which_they_ended() -> None:
    api = Api()
    record(api, *[a_confirmed_order()] * 3, an_expired_order(), a_failed_order())
    stats = api.get("/api/stats").json
    assert (stats["timestamp"], stats["from"], stats["to"]) == (
        "2026-11-21T12:00:00.000Z",
        "2026-11-21T11:01:00.000Z",
        "2026-11-21T12:01:00.000Z",
    )
    assert (stats["confirmed"], stats["failed"], stats["expired"]) == (3, 1, 1)
    assert stats["successRate"] == "0.6"
    assert [minute["minute"] for minute in stats["perMinute"]][::59] == [stats["from"], "2026-11-21T12:00:00.000Z"]
    assert len(stats["perMinute"]) == 60
    ended = [minute for minute in stats["perMinute"] if minute["confirmed"] or minute["failed"] or minute["expired"]]
    assert ended == [{"minute": "2026-11-21T12:00:00.000Z", "confirmed": 3, "failed": 1, "expired": 1}]
    assert stats["failures"] == [{"errorCode": a_failed_order().events[-1]["errorCode"], "count": 1}]
    confirmed = a_confirmed_order()
    duration = (confirmed.updated_at - confirmed.created_at) // timedelta(milliseconds=1)
    assert stats["timeToConfirmMs"] == {"p50": duration, "p95": duration}
    gain = confirmed.events[-1]["priceImprovementBps"]
    assert stats["priceImprovementBps"] == {"p50": gain, "p95": gain}
    assert stats["unavailable"] == []


def test_an_engine_that_has_done_nothing_has_no_rate_and_no_percentiles() -> None:
    stats = Api().get("/api/stats").json
    assert (stats["confirmed"], stats["failures"], len(stats["perMinute"])) == (0, [], 60)
    assert stats["successRate"] is stats["timeToConfirmMs"] is stats["priceImprovementBps"] is None
    assert stats["oldestLiveOrder"] is None
    assert stats["unavailable"] == []


def test_each_queue_says_what_waits_in_it() -> None:
    gauges = {
        "orders": FixedGauge(QueueDepth(3, 2, 1)),
        "statuses": FixedGauge(),
        "dead_letters": FixedGauge(QueueDepth(7, 0, 0)),
    }
    assert Api(gauges=gauges).get("/api/stats").json["queues"] == {
        "orders": {"waiting": 3, "inFlight": 2, "delayed": 1},
        "statuses": {"waiting": 0, "inFlight": 0, "delayed": 0},
        "deadLetters": {"waiting": 7, "inFlight": 0, "delayed": 0},
    }


def test_the_oldest_live_order_is_named_with_its_age() -> None:
    api = Api()
    api.orders.stored = {order_id: an_order(order_id) for order_id in ("b", "c")}
    ended = a_confirmed_order("a")
    api.orders.stored["a"] = replace(ended, sent_through=ended.sequence, recorded_through=ended.sequence)
    api.clock.at = NOON + timedelta(seconds=90, milliseconds=999)
    assert api.get("/api/stats").json["oldestLiveOrder"] == {
        "orderId": "b",
        "createdAt": "2026-11-21T12:00:00.000Z",
        "ageSeconds": 90,
    }


class AwayOrders(InMemoryOrders):
    async def oldest_live(self, **_: Any) -> list[Order]:
        raise Unavailable("DynamoDB")


@pytest.mark.parametrize("away", ["postgres", "sqs", "dynamodb"])
def test_what_hangs_on_a_part_that_is_away_is_null_and_the_part_is_named(away: str) -> None:
    api = Api(orders=AwayOrders() if away == "dynamodb" else InMemoryOrders())
    api.history.is_away = away == "postgres"
    api.gauges["statuses"].is_away = away == "sqs"
    if away != "dynamodb":
        api.orders.stored["a"] = replace(an_order("a"), created_at=NOON - timedelta(seconds=1))
    answer = api.get("/api/stats")
    assert (answer.status, answer.json["unavailable"]) == (200, [away])
    unknown = {"postgres": OF_POSTGRES, "sqs": {"queues"}, "dynamodb": {"oldestLiveOrder"}}[away]
    none_yet = {"successRate", "timeToConfirmMs", "priceImprovementBps"}
    assert {name for name, value in answer.json.items() if value is None} == unknown | none_yet


def test_a_part_that_says_nothing_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    class SilentOrders(InMemoryOrders):
        async def oldest_live(self, **_: Any) -> list[Order]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr("order_engine.service.read_stats._PATIENCE_SECONDS", 0.01)
    assert Api(orders=SilentOrders()).get("/api/stats").json["unavailable"] == ["dynamodb"]


def test_whoever_asks_within_two_seconds_shares_an_answer() -> None:
    api = Api()
    first = api.get("/api/stats").text
    record(api, a_confirmed_order())
    api.clock.at = NOON + SHARED_FOR - timedelta(milliseconds=1)
    assert api.get("/api/stats").text == first
    api.clock.at = NOON + SHARED_FOR
    assert api.get("/api/stats").json["confirmed"] == 1
