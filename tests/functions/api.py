"""The HTTP API as API Gateway speaks to it: HTTP API events of version 2.0 into the Lambda handler."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema  # type: ignore[import-untyped]

from order_engine.adapters.market import Market
from order_engine.adapters.venues import venues
from order_engine.runtime.http_parts import ApiParts
from order_engine.runtime.sites import dashboard, documentation
from order_engine.runtime.submit_order import compose_api
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.check_health import CheckHealth
from order_engine.service.ports import OrderRepository, Venue
from order_engine.service.quote_order import QuoteOrder
from order_engine.service.read_orders import ReadOrders
from order_engine.service.read_stats import ReadStats
from tests.fakes import (
    CountingRandomness,
    FixedGauge,
    FrozenClock,
    InMemoryHistory,
    InMemoryOrders,
    RecordingOrderQueue,
    RecordingStatusQueue,
)

FOLDER = Path(__file__).parents[2] / "functions" / "submit_order"
DASHBOARD = FOLDER / "dashboard"
WEB_SOCKET_URL = "wss://def456.execute-api.eu-west-1.amazonaws.com/live"

QUEUES = ("orders", "statuses", "dead_letters")

PAGES = {"/", "/docs", "/openapi.json"}
"""Beside what the document lists."""

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.json["errors"]]


@dataclass
class Api:
    """The real handler over ports in memory. Every exchange is held against the API's own OpenAPI document."""

    orders: InMemoryOrders = field(default_factory=InMemoryOrders)
    history: InMemoryHistory = field(default_factory=InMemoryHistory)
    queue: RecordingOrderQueue = field(default_factory=RecordingOrderQueue)
    statuses: RecordingStatusQueue = field(default_factory=RecordingStatusQueue)
    gauges: Mapping[str, FixedGauge] = field(default_factory=lambda: {name: FixedGauge() for name in QUEUES})
    clock: FrozenClock = field(default_factory=FrozenClock)
    venues: Sequence[Venue] | None = None
    """Those of the market with seed 1, unless others are given."""
    dashboard: Path = DASHBOARD

    def __post_init__(self) -> None:
        orders: OrderRepository = self.orders
        self.accept = AcceptOrder(
            orders=orders,
            queue=self.queue,
            statuses=self.statuses,
            clock=self.clock,
            randomness=CountingRandomness(),
        )
        self.handler = compose_api(
            ApiParts(
                accept=self.accept,
                read=ReadOrders(orders=orders, history=self.history),
                quote=QuoteOrder(venues=self._quoted_venues, clock=self.clock),
                stats=ReadStats(orders=orders, history=self.history, queues=self.gauges, clock=self.clock),
                health=CheckHealth(orders=orders, history=self.history),
                clock=self.clock,
                dashboard=dashboard(self.dashboard),
                documentation=documentation(FOLDER / "docs"),
                web_socket_url=WEB_SOCKET_URL,
            )
        )

    def _quoted_venues(self) -> Sequence[Venue]:
        return venues(Market(1), self.clock, delay_ms=0) if self.venues is None else self.venues

    @property
    def traces(self) -> tuple[int, int, int]:
        """How many orders are stored, and how many messages sent on either queue."""
        return len(self.orders.stored), len(self.queue.sent), len(self.statuses.messages)

    def get(self, target: str) -> Answer:
        return self.request("GET", target)

    def post(self, body: Any, *, path: str = "/api/orders", **headers: str) -> Answer:
        """Header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, body=body, headers=JSON | named)

    def request(self, method: str, target: str, *, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Bytes and text are sent as they are, anything else as JSON."""
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        raw = invoke(self.handler, http_event(method, target, body=body, headers=headers or {}))
        assert raw["isBase64Encoded"] is False
        answer = Answer(raw["statusCode"], raw["headers"], raw["body"])
        self._hold_against_document(method, target.partition("?")[0], body, answer)
        return answer

    def _hold_against_document(self, method: str, path: str, body: Any, answer: Answer) -> None:
        assert answer.headers["x-request-id"] == "request-1"
        assert answer.status < 500 or answer.status == 503 or self.history.is_away
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            self.validate("Problem", answer.json)
            assert answer.json["status"] == answer.status
            assert answer.json["requestId"] == "request-1"
            assert answer.json["instance"] == path
        operation = self._operation(method, path)
        if operation is None:
            assert answer.status in (404, 405) or path in PAGES or path.startswith(("/assets/", "/docs/"))
            return
        documented = operation["responses"][str(answer.status)]["content"][answer.headers["content-type"]]
        self._validate(documented["schema"], answer.json)
        if method == "POST" and answer.status == 202:
            self._validate(operation["requestBody"]["content"]["application/json"]["schema"], json.loads(body))

    def validate(self, model: str, value: Any) -> None:
        self._validate({"$ref": f"#/components/schemas/{model}"}, value)

    def _validate(self, schema: dict[str, Any], value: Any) -> None:
        whole = {**schema, "components": openapi_document()["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in openapi_document()["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method.lower() in operations:
                found: dict[str, Any] = operations[method.lower()]
                return found
        return None


def invoke(handler: Callable[[Any, Any], Any], event: dict[str, Any]) -> dict[str, Any]:
    """As Lambda does, on an event loop that is Mangum's own: `asyncio.run` elsewhere in the test takes its away."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        answer: dict[str, Any] = handler(event, None)
        return answer
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@cache
def openapi_document() -> dict[str, Any]:
    answer = invoke(Api().handler, http_event("GET", "/openapi.json"))
    document: dict[str, Any] = json.loads(answer["body"])
    return document


def http_event(
    method: str, target: str, *, body: str | bytes | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """What API Gateway makes of a request (payload format 2.0); a body that is no text comes in base64."""
    path, _, query = target.partition("?")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "abc123.execute-api.eu-west-1.amazonaws.com", "x-forwarded-proto": "https"}
        | {name.lower(): value for name, value in (headers or {}).items()},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
            "http": {
                "method": method,
                "path": quote(path, safe="/{}"),
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8",
            },
            "requestId": "request-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795262400000,
        },
        "isBase64Encoded": isinstance(body, bytes),
    }
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event
