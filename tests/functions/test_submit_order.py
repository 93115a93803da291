"""The HTTP API through its Lambda handler. `Api` holds every exchange against the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from order_engine.contracts.requests import DIALECTS, parse_order
from order_engine.domain.errors import IdempotencyKeyReused, Unavailable
from order_engine.domain.orders import Order, Status
from order_engine.runtime import http_problems
from order_engine.runtime.submit_order import compose
from tests.builders import a_confirmed_order, a_failed_order, an_order, claim, confirm
from tests.contract.test_orders import TABLE, create_table
from tests.fakes import NOON, InMemoryHistory, InMemoryOrders, RecordingOrderQueue, SentOrder
from tests.functions.api import FOLDER, JSON, Api, http_event, invoke, openapi_document

ORDER = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}
AN_ID = "0a0b0c0d-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def shared() -> Api:
    """For what must not change anything: making an API takes longer than asking it."""
    return Api()


# Accepting


@pytest.mark.parametrize("path", ["/api/orders", "/api/orders/execute", "/orders/execute"])
@pytest.mark.parametrize(
    "order",
    [
        {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1, "slippageBps": 100},
        {"inputToken": "SOL", "outputToken": "USDC", "amount": 1.5},
        {"userId": "u1", "baseToken": "SOL", "quoteToken": "USDC", "amount": 2.5, "side": "buy"},
        ORDER
        | {"swapMode": "exactIn", "minAmountOut": None, "expiresAt": None, "clientOrderId": None, "slippageBps": 1},
    ],
)
def test_every_dialect_is_accepted_on_every_path(order: dict[str, Any], path: str) -> None:
    api = Api()
    answer = api.post(order, path=path)
    assert answer.status == 202
    order_id = answer.json["orderId"]
    assert answer.json == {
        "orderId": order_id,
        "status": "pending",
        "message": "Order received and queued for processing",
        "timestamp": "2026-11-21T12:00:00.000Z",
        "sequence": 1,
    }
    assert answer.headers["location"] == f"/api/orders/{order_id}"
    assert api.queue.sent == [SentOrder(order_id, delay_seconds=0, deferrals=0, record_only=False)]
    # Nobody can be watching it yet, but those who follow its user.
    assert api.statuses.sequences(order_id) == ([1] if "userId" in order else [])


def test_an_accepted_order_can_be_read_right_away_with_its_events() -> None:
    api = Api()
    accepted = api.post(ORDER | {"userId": "u1", "clientOrderId": "c1", "minAmountOut": "200.50"})
    order = api.get(accepted.headers["location"]).json
    assert order["status"] == accepted.json["status"]
    assert [event["sequence"] for event in order["events"]] == [1]
    shown = ("userId", "clientOrderId", "amount", "minAmountOut", "slippageBps", "progress", "txHash")
    assert [order[name] for name in shown] == ["u1", "c1", "1.5", "200.5", 100, 10, None]


def test_two_equal_orders_without_a_key_are_two_orders() -> None:
    api = Api()
    assert api.post(ORDER).json["orderId"] != api.post(ORDER).json["orderId"]


def test_an_order_is_accepted_for_good_even_when_nobody_can_be_told() -> None:
    class NoQueue(RecordingOrderQueue):
        async def send(self, order_id: str, **_: Any) -> None:
            raise Unavailable("SQS")

    api = Api(queue=NoQueue())
    api.statuses.is_away = True
    answer = api.post(ORDER)
    assert answer.status == 202
    assert api.orders.stored[answer.json["orderId"]].status is Status.PENDING


def test_an_order_that_may_not_be_stored_is_not_accepted() -> None:
    class AwayOrders(InMemoryOrders):
        async def add(self, order: Order) -> Order | None:
            raise Unavailable("DynamoDB")

    api = Api(orders=AwayOrders())
    answer = api.post(ORDER)
    assert (answer.status, answer.json["code"], answer.json["retryable"]) == (503, "SERVICE_UNAVAILABLE", True)
    assert answer.headers["retry-after"] == "1"
    assert api.queue.sent == []


# Idempotency


def test_the_same_key_gives_the_first_answer_again_in_any_spelling() -> None:
    api = Api()
    first = api.post(ORDER, idempotency_key="k1")
    api.clock.at += timedelta(minutes=1)
    same = [
        api.post(ORDER, idempotency_key="k1"),
        api.post(ORDER | {"amount": 1.5, "slippageBps": 100}, idempotency_key="k1"),
        api.post({"inputToken": "SOL", "outputToken": "USDC", "amount": "1.500"}, idempotency_key="k1"),
        api.post(ORDER | {"clientOrderId": "k1"}),
        api.post(ORDER | {"clientOrderId": "k1"}, idempotency_key="k1"),
    ]
    assert [(answer.status, answer.text) for answer in same] == [(202, first.text)] * 5
    assert len(api.orders.stored) == 1


def test_a_key_of_another_order_is_refused() -> None:
    api = Api()
    api.post(ORDER, idempotency_key="k1")
    answer = api.post(ORDER | {"amount": "1.6"}, idempotency_key="k1")
    assert (answer.status, answer.json["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(api.orders.stored) == 1


def test_keys_belong_to_their_owner() -> None:
    api = Api()
    owners: list[dict[str, str]] = [{}, {"userId": "u1"}, {"userId": "u2"}]
    assert len({api.post(ORDER | owner, idempotency_key="k1").json["orderId"] for owner in owners}) == 3


def test_two_different_keys_for_one_order_are_refused() -> None:
    answer = Api().post(ORDER | {"clientOrderId": "k2"}, idempotency_key="k1")
    assert (answer.status, answer.pointers) == (422, ["#/clientOrderId"])


def test_a_repetition_sends_again_while_the_order_waits_unclaimed() -> None:
    api = Api()
    order_id = api.post(ORDER, idempotency_key="k1").json["orderId"]
    api.post(ORDER, idempotency_key="k1")
    assert len(api.queue.sent) == 2
    api.orders.stored[order_id] = claim(api.orders.stored[order_id])
    api.post(ORDER, idempotency_key="k1")
    assert len(api.queue.sent) == 2


def test_a_finished_order_still_gives_the_first_answer() -> None:
    api = Api()
    first = api.post(ORDER, idempotency_key="k1")
    order_id = first.json["orderId"]
    api.orders.stored[order_id] = confirm(api.orders.stored[order_id])
    assert api.post(ORDER, idempotency_key="k1").text == first.text


def test_a_repetition_after_the_order_has_expired_still_gives_the_first_answer() -> None:
    api = Api()
    expiring = ORDER | {"expiresAt": "2026-11-21T12:00:01Z"}
    first = api.post(expiring, idempotency_key="k1")
    api.clock.at += timedelta(minutes=1)
    assert api.post(expiring, idempotency_key="k1").text == first.text
    assert api.post(expiring, idempotency_key="k2").pointers == ["#/expiresAt"]
    assert api.post(expiring | {"amount": 2}, idempotency_key="k1").json["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_twenty_clients_with_one_key_at_the_same_moment_make_one_order() -> None:
    class FarOrders(InMemoryOrders):
        async def add(self, order: Order) -> Order | None:
            await asyncio.sleep(0)
            existing = await super().add(order)
            await asyncio.sleep(0)
            return existing

    api = Api(orders=FarOrders())

    async def all_at_once() -> list[Order]:
        return await asyncio.gather(*(api.accept(parse_order(ORDER), key="k1") for _ in range(20)))

    orders = asyncio.run(all_at_once())
    assert len({order.order_id for order in orders}) == len(api.orders.stored) == 1


def test_of_two_orders_under_one_key_at_the_same_moment_one_is_refused() -> None:
    api = Api()

    async def both() -> list[Order | BaseException]:
        bodies = (ORDER, ORDER | {"amount": 2})
        accepting = (api.accept(parse_order(body), key="k1") for body in bodies)
        return await asyncio.gather(*accepting, return_exceptions=True)

    kinds = {type(result) for result in asyncio.run(both())}
    assert kinds == {Order, IdempotencyKeyReused}


# Refusing


def but(**fields: Any) -> dict[str, Any]:
    return ORDER | fields


def without(name: str) -> dict[str, Any]:
    return {field: value for field, value in ORDER.items() if field != name}


def number(text: str) -> str:
    return f'{{"tokenIn": "SOL", "tokenOut": "USDC", "amount": {text}}}'


BAD_ORDERS: dict[str, tuple[Any, int, str]] = {
    "no body": ("", 400, "#"),
    "not JSON": ("tokenIn=SOL", 400, "#"),
    "cut off": ('{"tokenIn": "SOL"', 400, "#"),
    "not UTF-8": (b'{"tokenIn": "\xff"}', 400, "#"),
    "a lone surrogate": ('{"tokenIn": "SOL", "userId": "\\ud800"}', 400, "#"),
    "nested without end": ("[" * 16_000, 400, "#"),
    "a field twice": ('{"tokenIn": "SOL", "amount": 1, "amount": 2}', 400, "#/amount"),
    "NaN": (number("NaN"), 400, "#"),
    "Infinity": (number("Infinity"), 400, "#"),
    "a list": ([ORDER], 422, "#"),
    "a string": ('"SOL"', 422, "#"),
    "null": ("null", 422, "#"),
    "an empty object": ({}, 422, "#/tokenIn"),
    "no amount": (without("amount"), 422, "#/amount"),
    "no token in": (without("tokenIn"), 422, "#/tokenIn"),
    "no token out": (without("tokenOut"), 422, "#/tokenOut"),
    "an amount of null": (but(amount=None), 422, "#/amount"),
    "an amount of zero": (but(amount=0), 422, "#/amount"),
    "an amount of minus zero": (number("-0.0"), 422, "#/amount"),
    "a negative amount": (but(amount="-1"), 422, "#/amount"),
    "an amount of 1e400": (number("1e400"), 422, "#/amount"),
    "an amount of 1e308": (number("1e308"), 422, "#/amount"),
    "an amount of 1e-30": (number("1e-30"), 422, "#/amount"),
    "an exponent beyond reason": (number("1e99999999999999999999"), 422, "#/amount"),
    "five thousand digits": (number("1" * 5_000), 422, "#/amount"),
    "too much": (but(amount="1000000000000.1"), 422, "#/amount"),
    "more decimals than the token has": (but(amount="1.0000000001"), 422, "#/amount"),
    "an amount in words": (but(amount="one"), 422, "#/amount"),
    "an empty amount": (but(amount=""), 422, "#/amount"),
    "an amount with spaces": (but(amount=" 1 "), 422, "#/amount"),
    "an amount with a comma": (but(amount="1,5"), 422, "#/amount"),
    "an amount with an underscore": (but(amount="1_000"), 422, "#/amount"),
    "an amount in hexadecimal": (but(amount="0x10"), 422, "#/amount"),
    "an amount in other digits": (but(amount="\u0661"), 422, "#/amount"),
    "NaN in a string": (but(amount="NaN"), 422, "#/amount"),
    "Infinity in a string": (but(amount="Infinity"), 422, "#/amount"),
    "a true amount": (but(amount=True), 422, "#/amount"),
    "an amount in a list": (but(amount=[1]), 422, "#/amount"),
    "the same token twice": (but(tokenOut="SOL"), 422, "#/tokenOut"),
    "an unknown token": (but(tokenIn="DOGE"), 422, "#/tokenIn"),
    "a token in small letters": (but(tokenIn="sol"), 422, "#/tokenIn"),
    "an empty token": (but(tokenIn=""), 422, "#/tokenIn"),
    "a token of 10,000 characters": (but(tokenIn="S" * 10_000), 422, "#/tokenIn"),
    "a NUL in a token": (but(tokenIn="SOL\0"), 422, "#/tokenIn"),
    "a number for a token": (but(tokenIn=1), 422, "#/tokenIn"),
    "an object for a token": (but(tokenIn={"$ne": ""}), 422, "#/tokenIn"),
    "the wrapped token of the routes": (but(tokenIn="wSOL"), 422, "#/tokenIn"),
    "a limit order": (but(type="limit"), 422, "#/type"),
    "a type of 1": (but(type=1), 422, "#/type"),
    "negative slippage": (but(slippageBps=-1), 422, "#/slippageBps"),
    "slippage of 100,000": (but(slippageBps=100_000), 422, "#/slippageBps"),
    "slippage of 5,001": (but(slippageBps=5_001), 422, "#/slippageBps"),
    "slippage of half a point": (but(slippageBps=0.5), 422, "#/slippageBps"),
    "true slippage": (but(slippageBps=True), 422, "#/slippageBps"),
    "slippage in words": (but(slippageBps="low"), 422, "#/slippageBps"),
    "an unknown swap mode": (but(swapMode="exact"), 422, "#/swapMode"),
    "a floor of zero": (but(minAmountOut=0), 422, "#/minAmountOut"),
    "a floor with too many decimals": (but(minAmountOut="1.0000001"), 422, "#/minAmountOut"),
    "the other mode's limit": (but(maxAmountIn=1), 422, "#/maxAmountIn"),
    "expired already": (but(expiresAt="2026-11-21T12:00:00Z"), 422, "#/expiresAt"),
    "expiring in a year": (but(expiresAt="2027-11-21T12:00:00Z"), 422, "#/expiresAt"),
    "expiring without an offset": (but(expiresAt="2026-11-21T13:00:00"), 422, "#/expiresAt"),
    "expiring on the 31st of November": (but(expiresAt="2026-11-31T13:00:00Z"), 422, "#/expiresAt"),
    "expiring in Unix time": (but(expiresAt=1795266000), 422, "#/expiresAt"),
    "expiring before all calendars": (but(expiresAt="0001-01-01T00:00:00+23:59"), 422, "#/expiresAt"),
    "an empty user": (but(userId=""), 422, "#/userId"),
    "a user of 129 characters": (but(userId="u" * 129), 422, "#/userId"),
    "a user with a line break": (but(userId="u\n1"), 422, "#/userId"),
    "a user with a NUL": (but(userId="u\0"), 422, "#/userId"),
    "a user that is a number": (but(userId=1), 422, "#/userId"),
    "a client order id that is a list": (but(clientOrderId=[]), 422, "#/clientOrderId"),
    "an unknown field": (but(slipage=50), 422, "#/slipage"),
    "another dialect's field": (but(inputToken="SOL"), 422, "#/inputToken"),
    "an internal field": (but(status="confirmed"), 422, "#/status"),
    "an unknown side": (
        {"baseToken": "SOL", "quoteToken": "USDC", "amount": 1, "side": "BUY"},
        422,
        "#/side",
    ),
    "no side": ({"baseToken": "SOL", "quoteToken": "USDC", "amount": 1}, 422, "#/side"),
}


@pytest.mark.parametrize(("body", "status", "named"), BAD_ORDERS.values(), ids=BAD_ORDERS)
def test_a_bad_order_is_refused_by_name_and_leaves_nothing(shared: Api, body: Any, status: int, named: str) -> None:
    before = shared.traces
    answer = shared.post(body)
    assert answer.status == status
    assert named in answer.pointers
    assert named.removeprefix("#/") in answer.json["detail"] or named == "#"
    assert not answer.json["retryable"]
    assert shared.traces == before


def test_a_body_over_the_limit_is_refused() -> None:
    answer = Api().post(json.dumps(ORDER) + " " * 16_384)
    assert (answer.status, answer.json["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}]
)
def test_an_order_not_sent_as_json_is_refused(headers: dict[str, str]) -> None:
    answer = Api().request("POST", "/api/orders", body=ORDER, headers=headers)
    assert (answer.status, answer.json["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_the_media_type_may_name_its_charset() -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert Api().request("POST", "/api/orders", body=ORDER, headers=headers).status == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "schlüssel", "k\0"])
def test_a_bad_idempotency_key_is_refused_by_the_headers_name(key: str) -> None:
    api = Api()
    answer = api.post(ORDER, idempotency_key=key)
    assert (answer.status, answer.pointers) == (422, ["Idempotency-Key"])
    assert api.orders.stored == {}


# Reading


def test_a_list_shows_live_and_finished_orders_page_by_page() -> None:
    api = Api()
    finished = a_confirmed_order(AN_ID, created_at=NOON - timedelta(minutes=1))
    asyncio.run(api.history.record(finished))
    live = [api.post(ORDER).json["orderId"] for _ in range(2)]
    first = api.get("/api/orders?limit=2").json
    second = api.get(f"/api/orders?limit=2&cursor={first['nextCursor']}").json
    assert [order["orderId"] for order in first["orders"]] == sorted(live, reverse=True)
    assert [order["orderId"] for order in second["orders"]] == [AN_ID]
    assert second["nextCursor"] is None


def test_a_finished_order_shows_all_that_came_of_it() -> None:
    api = Api()
    asyncio.run(api.history.record(a_confirmed_order(AN_ID)))
    order = api.get(f"/api/orders/{AN_ID}").json
    shown = ("status", "progress", "dex", "txHash", "amountIn", "amountOut", "executedPrice", "error")
    assert [order[name] for name in shown] == [
        "confirmed", 100, "meteora", f"signature-of-{AN_ID}", "1.5", "225.123456", "150.082304", None,
    ]  # fmt: skip
    building, confirmed = order["events"][2], order["events"][-1]
    assert building["quote"] == next(quote for quote in building["quotes"] if quote["dex"] == "meteora")
    assert confirmed["finalPrice"] == confirmed["executedPrice"] == order["executedPrice"]


def test_a_failed_order_says_why() -> None:
    api = Api()
    asyncio.run(api.history.record(a_failed_order(AN_ID)))
    order = api.get(f"/api/orders/{AN_ID}").json
    assert (order["status"], order["errorCode"]) == ("failed", order["events"][-1]["errorCode"])
    assert order["error"]


@pytest.mark.parametrize(
    "query",
    [
        "status=pending",
        "pair=SOL/USDC",
        "pair=SOL-USDC",
        "pair=SOL%2FUSDC",
        "type=market",
        "userId=u%201",
        "from=2026-11-21T12:00:00Z",
        "from=2026-11-21T14:00:00%2B02:00",
        "to=2026-11-21T12:00:00.001Z",
        "status=pending&pair=SOL/USDC&type=market&userId=u%201&limit=100",
    ],
)
def test_a_list_can_be_filtered(query: str) -> None:
    api = Api()
    wanted = api.post(ORDER | {"userId": "u 1"}).json["orderId"]
    api.orders.stored["other"] = claim(
        an_order("other", created_at=NOON + timedelta(hours=1) if "to=" in query else NOON - timedelta(hours=1))
    )
    listed = [order["orderId"] for order in api.get(f"/api/orders?{query}").json["orders"]]
    assert wanted in listed
    assert ("other" in listed) == (query.startswith(("pair", "type")))


BAD_QUERIES = {
    "limit=0": (422, "limit"),
    "limit=-1": (422, "limit"),
    "limit=101": (422, "limit"),
    "limit=ten": (422, "limit"),
    "limit=1.5": (422, "limit"),
    "limit=1_0": (422, "limit"),
    "limit=": (422, "limit"),
    f"limit={'9' * 5_000}": (422, "limit"),
    "limit=5&limit=6": (422, "limit"),
    "status=done": (422, "status"),
    "status=": (422, "status"),
    "stauts=failed": (422, "stauts"),
    "type=limit": (422, "type"),
    "pair=SOL": (422, "pair"),
    "pair=SOL/USDC/JUP": (422, "pair"),
    "pair=SOL/DOGE": (422, "pair"),
    "userId=": (422, "userId"),
    "userId=%00": (422, "userId"),
    "from=yesterday": (422, "from"),
    "from=1795266000": (422, "from"),
    "from=2026-11-21T12:00:00+02:00": (422, "from"),
    "to=2026-11-21": (422, "to"),
    "cursor=": (400, "cursor"),
    "cursor=abc": (400, "cursor"),
    "cursor=%00": (400, "cursor"),
    "cursor=%C3%A9": (400, "cursor"),
    "cursor=MjAyNi0xMS0yMVQxMjowMDowMC4wMDBaIG5vdC1hbi1pZA": (400, "cursor"),
    "cursor=a&cursor=b": (422, "cursor"),
}


@pytest.mark.parametrize(("query", "status", "named"), [(query, *rest) for query, rest in BAD_QUERIES.items()])
def test_a_bad_query_is_refused_by_name(shared: Api, query: str, status: int, named: str) -> None:
    answer = shared.get(f"/api/orders?{query}")
    assert (answer.status, answer.pointers) == (status, [named])


def test_a_cursor_that_was_changed_is_refused() -> None:
    api = Api()
    for _ in range(2):
        api.post(ORDER)
    cursor = api.get("/api/orders?limit=1").json["nextCursor"]
    for changed in (cursor[:-1], cursor + "A", cursor + "=", "!" + cursor):
        assert api.get(f"/api/orders?cursor={changed}").pointers == ["cursor"]


@pytest.mark.parametrize("order_id", [AN_ID, "1", "execute", "%00", "..%2f..%2fetc", "%F0%9F%92%A5", "a" * 5_000])
def test_an_unknown_order_is_not_found(order_id: str) -> None:
    answer = Api().get(f"/api/orders/{AN_ID}" if order_id == AN_ID else f"/api/orders/{order_id}")
    assert (answer.status, answer.json["code"]) in [(404, "ORDER_NOT_FOUND"), (404, "NOT_FOUND")]


def test_with_the_history_away_live_orders_are_read_and_lists_are_refused() -> None:
    api = Api()
    api.history.is_away = True
    location = api.post(ORDER).headers["location"]
    assert api.get(location).status == 200
    answer = api.get("/api/orders")
    assert (answer.status, answer.json["code"], answer.json["retryable"]) == (503, "HISTORY_UNAVAILABLE", True)
    assert answer.headers["retry-after"] == "1"


# Everything else


@pytest.mark.parametrize("path", ["/api", "/api/orders/", "/orders", "/api/orders/a/b", "/favicon.ico", "/redoc"])
def test_an_unknown_path_is_a_problem_too(path: str) -> None:
    answer = Api().get(path)
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/orders", "GET, POST"),
        ("PUT", "/api/orders/execute", "GET, POST"),
        ("GET", "/orders/execute", "POST"),
        ("PATCH", f"/api/orders/{AN_ID}", "GET"),
        ("POST", "/health", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str) -> None:
    answer = Api().request(method, path, body="{}", headers=JSON)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_health_says_how_each_part_is_and_never_fails() -> None:
    class BrokenHistory(InMemoryHistory):
        async def check(self) -> None:
            raise RuntimeError("a bug")

    api = Api()
    assert api.get("/health").json == {
        "status": "ok",
        "timestamp": "2026-11-21T12:00:00.000Z",
        "parts": {"dynamodb": "ok", "postgres": "ok"},
    }
    api.history.is_away = True
    assert api.get("/health").json["parts"] == {"dynamodb": "ok", "postgres": "unavailable"}
    assert Api(history=BrokenHistory()).get("/health").json["status"] == "degraded"


def test_a_bug_is_answered_without_its_text_and_logged_with_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    class BuggyOrders(InMemoryOrders):
        async def add(self, order: Order) -> Order | None:
            raise RuntimeError("secret detail")

    api = Api(orders=BuggyOrders())
    raw = invoke(api.handler, http_event("POST", "/api/orders", body=json.dumps(ORDER), headers=JSON))
    assert raw["statusCode"] == 500
    assert raw["headers"]["content-type"] == "application/problem+json"
    assert raw["headers"]["x-request-id"] == "request-1"
    problem = json.loads(raw["body"])
    api.validate("Problem", problem)
    assert (problem["code"], problem["requestId"]) == ("INTERNAL", "request-1")
    assert "secret" not in raw["body"]
    failures = [record for record in caplog.records if record.exc_info]
    assert [(record.name, record.__dict__["request_id"]) for record in failures] == [
        (http_problems.__name__, "request-1")
    ]


def test_the_documentation_page_finds_its_document_below_any_path() -> None:
    answer = Api().get("/docs")
    assert answer.status == 200
    assert 'src="docs/show.js"' in answer.text
    assert 'url: "openapi.json"' in Api().get("/docs/show.js").text


def test_the_document_lists_every_route_and_its_own_examples_are_accepted() -> None:
    api = Api()
    assert {path: sorted(operations) for path, operations in openapi_document()["paths"].items()} == {
        "/api/orders": ["get", "post"],
        "/api/orders/execute": ["post"],
        "/orders/execute": ["post"],
        "/api/orders/{orderId}": ["get"],
        "/api/quotes": ["post"],
        "/api/config": ["get"],
        "/api/stats": ["get"],
        "/health": ["get"],
    }
    body = openapi_document()["paths"]["/api/orders"]["post"]["requestBody"]["content"]["application/json"]
    assert len(body["schema"]["oneOf"]) == len(body["examples"]) == 3
    assert [api.post(example["value"]).status for example in body["examples"].values()] == [202, 202, 202]


def test_the_composed_function_stores_the_order_and_sends_it_to_both_queues(aws_credentials: None) -> None:
    with mock_aws():
        create_table(boto3.client("dynamodb"))
        sqs = boto3.client("sqs")
        orders = sqs.create_queue(QueueName="orders")["QueueUrl"]
        statuses = sqs.create_queue(QueueName="statuses.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        handler = compose(
            FOLDER,
            {
                "ORDERS_TABLE": TABLE,
                "ORDER_QUEUE_URL": orders,
                "STATUS_QUEUE_URL": statuses,
                "ORDER_DEAD_LETTER_QUEUE_URL": orders,
                "DATABASE_URL": "postgresql://127.0.0.1:1/nowhere",
                "MARKET_SEED": "1",
                "QUOTE_DELAY_MS": "0",
                "WEBSOCKET_ENDPOINT": "https://def456.execute-api.eu-west-1.amazonaws.com/live",
            },
        )
        order = json.dumps(ORDER | {"userId": "u1"})
        headers = JSON | {"Idempotency-Key": "k1"}
        accepted = [invoke(handler, http_event("POST", "/api/orders", body=order, headers=headers)) for _ in range(2)]
        shown = invoke(handler, http_event("GET", accepted[0]["headers"]["location"]))
        listed = invoke(handler, http_event("GET", "/api/orders"))
        health = invoke(handler, http_event("GET", "/health"))
        bodies = {
            url: [
                json.loads(message["Body"])
                for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
            ]
            for url in (orders, statuses)
        }
    assert [answer["statusCode"] for answer in (*accepted, shown, listed, health)] == [202, 202, 200, 503, 200]
    assert accepted[0]["body"] == accepted[1]["body"]
    order_id = json.loads(shown["body"])["orderId"]
    assert {message["orderId"] for message in (*bodies[orders], *bodies[statuses])} == {order_id}
    assert bodies[statuses][0]["events"][0]["status"] == "pending"
    assert json.loads(health["body"])["parts"] == {"dynamodb": "ok", "postgres": "unavailable"}


# Whatever comes


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["SOL", "USDC", "market", "buy", "sell", "exactIn", "exactOut", "1.5", "2026-11-21T13:00:00Z"])
    | st.decimals(allow_nan=False, allow_infinity=False).map(str)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(sorted({field.alias or "" for dialect in DIALECTS for field in dialect.model_fields.values()}))
bodies = (
    st.dictionaries(names | st.text(max_size=5), values, max_size=8).map(json.dumps)
    | st.dictionaries(names, scalars, max_size=3).map(lambda fields: json.dumps(ORDER | fields))
    | values.map(json.dumps)
    | st.binary(max_size=200)
)


@settings(max_examples=300, deadline=None)
@given(bodies)
def test_whatever_is_sent_is_accepted_as_documented_or_refused_as_a_problem(shared: Api, body: str | bytes) -> None:
    answer = shared.post(body)
    assert answer.status in (202, 400, 422)
    # A clientOrderId may come a second time with another order.
    assert answer.status == 202 or answer.pointers or answer.json["code"] == "IDEMPOTENCY_KEY_REUSED"


@settings(max_examples=150, deadline=None)
@given(bodies)
def test_whatever_is_sent_is_quoted_as_documented_or_refused_as_a_problem(shared: Api, body: str | bytes) -> None:
    before = shared.traces
    answer = shared.post(body, path="/api/quotes")
    assert answer.status in (200, 400, 422)
    assert answer.status == 200 or answer.pointers or answer.json["code"] != "VALIDATION_FAILED"
    assert shared.traces == before


parameters = ["status", "pair", "type", "userId", "from", "to", "limit", "cursor"]


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["x", *parameters]), st.text(max_size=30)))
def test_whatever_is_asked_is_listed_or_refused_as_a_problem(shared: Api, query: dict[str, str]) -> None:
    answer = shared.get(f"/api/orders?{urlencode(query, errors='replace')}")
    assert answer.status == 200 or answer.pointers


def test_a_queue_that_says_nothing_does_not_keep_the_client_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("order_engine.service.accept_order.ANNOUNCING_SECONDS", 0.01)
    api = Api()
    api.queue.send = hang  # type: ignore[method-assign]
    assert api.post(ORDER).status == 202
