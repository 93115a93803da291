"""The client over HTTP: what is asked, what is tried again, and what becomes of the answers."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import order_client
from order_client import (
    Backoff,
    FieldError,
    InvalidRequest,
    KeyReused,
    NoSwap,
    OrderClient,
    OrderNotFound,
    Problem,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)

ACCEPTED = {
    "orderId": "ffd9fae9-0bfe-5bb6-aa67-e98ad575292f",
    "status": "pending",
    "message": "Order received and queued for processing",
    "timestamp": "2026-11-21T03:04:05.678Z",
    "sequence": 1,
}
ORDER = {
    **ACCEPTED,
    "type": "market",
    "progress": 10,
    "userId": None,
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "swapMode": "exactIn",
    "amount": "1.5",
    "slippageBps": 100,
    "createdAt": "2026-11-21T03:04:05.678Z",
    "updatedAt": "2026-11-21T03:04:05.678Z",
    "attempts": 1,
}

Answer = httpx.Response | Exception


class Engine:
    """Gives the answers in turn, the last one for ever, and keeps the requests and the pauses between them."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.client = OrderClient(
            "https://engine.test/stage",
            backoff=Backoff(attempts=3, sleep=self.pauses.append),
            transport=httpx.MockTransport(self._answer),
        )

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        # Else a second one would find it read and closed.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def problem(status: int, code: str, **fields: Any) -> httpx.Response:
    body = {"status": status, "code": code, "detail": "a sentence", "retryable": False, "errors": [], **fields}
    return httpx.Response(status, json=body)


def accepted() -> httpx.Response:
    return httpx.Response(202, json=ACCEPTED)


AWAY = problem(503, "SERVICE_UNAVAILABLE", retryable=True)


def test_an_order_is_sent_as_it_was_written_and_its_answer_is_typed() -> None:
    engine = Engine(accepted())

    answer = engine.client.submit(
        "SOL",
        "USDC",
        Decimal("1.50"),
        slippage_bps=50,
        min_amount_out="220",
        expires_at=datetime(2026, 11, 22, tzinfo=UTC),
        user_id=None,
    )

    assert engine.bodies == [
        {
            "tokenIn": "SOL",
            "tokenOut": "USDC",
            "amount": "1.50",
            "slippageBps": "50",
            "minAmountOut": "220",
            "expiresAt": "2026-11-22T00:00:00+00:00",
        }
    ]
    assert engine.requests[0].url == "https://engine.test/stage/api/orders"
    assert answer.order_id == ACCEPTED["orderId"]
    assert answer.timestamp == datetime(2026, 11, 21, 3, 4, 5, 678000, UTC)
    assert answer.raw == ACCEPTED


def test_an_amount_is_never_written_with_an_exponent() -> None:
    engine = Engine(accepted())
    engine.client.submit("BONK", "SOL", Decimal("1E+6"))
    assert engine.bodies[0]["amount"] == "1000000"


def test_a_float_is_no_amount() -> None:
    with pytest.raises(TypeError, match=r"0\.1 is a float"):
        Engine(accepted()).client.submit("SOL", "USDC", 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silence"),
        httpx.RemoteProtocolError("cut"),
        AWAY,
        problem(500, "INTERNAL", retryable=True),
        httpx.Response(429, json={"message": "Too Many Requests"}),
        httpx.Response(503, json={"message": "Service Unavailable"}),
        # What an HTTP API of API Gateway says when the function behind it has run out of time.
        httpx.Response(500, json={"message": "Internal Server Error"}),
        httpx.Response(502, text="<html>"),
    ],
    ids=repr,
)
def test_an_order_is_sent_again_under_the_same_key_until_there_is_an_answer(trouble: Answer) -> None:
    engine = Engine(trouble, trouble, accepted())

    assert engine.client.submit("SOL", "USDC", "1").order_id == ACCEPTED["orderId"]

    keys = [request.headers["idempotency-key"] for request in engine.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(engine.pauses) == 2


def test_each_order_has_a_key_of_its_own_unless_it_is_given_one() -> None:
    engine = Engine(accepted())
    for _ in range(2):
        engine.client.submit("SOL", "USDC", "1")
    engine.client.submit("SOL", "USDC", "1", idempotency_key="mine")
    first, second, third = (request.headers["idempotency-key"] for request in engine.requests)
    assert first != second
    assert third == "mine"


def test_a_key_may_be_any_text() -> None:
    engine = Engine(accepted())
    engine.client.submit("SOL", "USDC", "1.5", idempotency_key="čaj 7")
    (request,) = engine.requests
    assert dict(request.headers.raw)[b"Idempotency-Key"].decode() == "čaj 7"


def test_a_client_order_id_is_the_key() -> None:
    engine = Engine(accepted())
    engine.client.submit("SOL", "USDC", "1", client_order_id="c-1")
    assert "idempotency-key" not in engine.requests[0].headers
    assert engine.bodies[0]["clientOrderId"] == "c-1"


def test_what_stays_away_is_said_after_the_last_attempt() -> None:
    engine = Engine(httpx.ConnectError("refused"))
    with pytest.raises(Unreachable, match=r"https://engine\.test/stage gives no answer: refused"):
        engine.client.health()
    assert len(engine.requests) == 3

    with pytest.raises(Unavailable) as error:
        Engine(AWAY).client.stats()
    assert error.value.retryable


def test_an_order_that_may_have_been_placed_can_be_asked_for_by_its_key() -> None:
    engine = Engine(httpx.ReadTimeout("silence"))
    with pytest.raises(Unreachable) as error:
        engine.client.submit("SOL", "USDC", "1")
    assert error.value.idempotency_key == engine.requests[0].headers["idempotency-key"]
    with pytest.raises(Unreachable) as error:
        engine.client.submit("SOL", "USDC", "1", client_order_id="c-1")
    assert error.value.idempotency_key == "c-1"
    with pytest.raises(InvalidRequest) as refused:
        Engine(problem(422, "VALIDATION_FAILED")).client.submit("SOL", "USDC", "-1")
    assert refused.value.idempotency_key is None


def test_somebody_elses_problem_is_read_as_far_as_it_goes() -> None:
    theirs = httpx.Response(400, json={"title": "Bad", "errors": {"amount": ["wrong"]}})
    with pytest.raises(Problem, match="Bad Request") as error:
        Engine(theirs).client.health()
    assert (error.value.code, error.value.errors) == ("BAD_REQUEST", ())


def test_the_engine_is_left_alone_for_as_long_as_it_says() -> None:
    throttled = httpx.Response(429, json={"message": "Too Many Requests"}, headers={"Retry-After": "7"})
    engine = Engine(throttled, accepted())
    engine.client.submit("SOL", "USDC", "1")
    assert engine.pauses == [7]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "ORDER_NOT_FOUND", OrderNotFound),
        (422, "VALIDATION_FAILED", InvalidRequest),
        (400, "INVALID_CURSOR", InvalidRequest),
        (422, "IDEMPOTENCY_KEY_REUSED", KeyReused),
        (422, "NO_ROUTE_FOUND", NoSwap),
        (422, "PRICE_IMPACT_TOO_HIGH", NoSwap),
        (418, "SOMETHING_NEW", Problem),
    ],
)
def test_what_would_fail_again_is_not_tried_again(status: int, code: str, kind: type[Problem]) -> None:
    errors = [{"pointer": "#/amount", "detail": "must be greater than zero"}]
    engine = Engine(problem(status, code, errors=errors, requestId="r-1"))

    with pytest.raises(Problem, match="a sentence") as error:
        engine.client.submit("SOL", "USDC", "0")

    assert type(error.value) is kind
    assert (error.value.status, error.value.code, error.value.request_id) == (status, code, "r-1")
    assert error.value.errors == (FieldError("#/amount", "must be greater than zero"),)
    assert len(engine.requests) == 1


def test_a_quote_that_cannot_be_had_now_is_said_so_at_once() -> None:
    engine = Engine(problem(422, "SLIPPAGE_TOLERANCE_EXCEEDED", retryable=True))
    with pytest.raises(NoSwap) as error:
        engine.client.quote("SOL", "USDC", "1", min_amount_out="1000000")
    assert error.value.retryable
    assert (len(engine.requests), engine.pauses) == (1, [])


def test_all_pages_are_listed_and_none_before_it_is_needed() -> None:
    second = {**ORDER, "orderId": "second"}
    engine = Engine(
        httpx.Response(200, json={"orders": [ORDER], "nextCursor": "abc"}),
        httpx.Response(200, json={"orders": [second], "nextCursor": None}),
    )

    found = engine.client.orders(status="pending", pair="SOL/USDC", since=datetime(2026, 11, 21, tzinfo=UTC))
    assert next(found).order_id == ORDER["orderId"]
    assert len(engine.requests) == 1
    assert [order.order_id for order in found] == ["second"]

    filters = {"status": "pending", "pair": "SOL/USDC", "from": "2026-11-21T00:00:00+00:00", "limit": "100"}
    assert [dict(request.url.params) for request in engine.requests] == [filters, {**filters, "cursor": "abc"}]


def test_an_order_id_stays_within_its_place_in_the_path() -> None:
    engine = Engine(httpx.Response(200, json=ORDER))
    engine.client.order("../health?x")
    assert engine.requests[0].url.raw_path == b"/stage/api/orders/..%2Fhealth%3Fx"


def test_an_answer_of_a_newer_engine_is_read_and_kept_whole() -> None:
    event = {**ACCEPTED, "progress": 10, "attempt": 1, "mood": "good", "quotes": [{"dex": "orca", "stars": 5}]}
    answer = {**ORDER, "status": "parked", "mood": "good", "executedPrice": 149.616359333, "events": [event]}

    order = Engine(httpx.Response(200, json=answer)).client.order("x")

    assert order.status == "parked"
    assert order.executed_price == Decimal("149.616359333")
    assert order.amount == Decimal("1.5")
    assert order.raw["mood"] == "good"
    assert order.events[0].quotes[0].dex == "orca"
    assert order.events[0].raw["mood"] == "good"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (httpx.Response(200, text="<html>Welcome</html>"), "no Order of an order engine: it is"),
        (httpx.Response(200, json=[]), "no Order of an order engine: it is"),
        (httpx.Response(200, json={**ORDER, "amount": None}), "Order .*: amount is missing"),
        (httpx.Response(200, json={**ORDER, "amount": "much"}), "Order .*: amount is 'much'"),
        (httpx.Response(200, json={**ORDER, "createdAt": "today"}), "Order .*: createdAt is 'today'"),
        (httpx.Response(200, json={**ORDER, "events": [{}]}), "Event .*: orderId is missing"),
    ],
)
def test_an_answer_that_is_not_an_engines_is_said_to_be_none(answer: httpx.Response, complaint: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=complaint):
        Engine(answer).client.order("x")


@pytest.mark.parametrize("url", ["", "engine.test", "ftp://engine.test", "http://", "http://engine.test:port"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http"):
        OrderClient(url)


def test_pauses_grow_to_their_limit_and_are_spread() -> None:
    backoff = Backoff(attempts=60, first_s=0.2, most_s=3)
    drawn = list(zip(*(backoff.pauses() for _ in range(200)), strict=True))
    assert len(drawn) == 59
    for attempt, pauses in enumerate(drawn):
        limit = min(3, 0.2 * 2**attempt)
        assert 0 <= min(pauses) < limit / 2 < max(pauses) <= limit


def test_the_client_needs_nothing_of_the_engine_it_talks_to() -> None:
    package = Path(order_client.__file__).parent
    foreign = {module for path in package.rglob("*.py") for module in imported(path)}
    assert foreign.isdisjoint({"order_engine", "functions", "local", "tests", "benchmarks"})


def imported(path: Path) -> Iterator[str]:
    """The packages that a file names in its import statements."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
