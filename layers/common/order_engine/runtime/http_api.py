"""The HTTP API: submit an order, read orders, health, the dashboard, and the documentation of just that."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from pydantic.json_schema import models_json_schema

from order_engine.contracts.exact_json import parse_json
from order_engine.contracts.fields import IdempotencyKey
from order_engine.contracts.problems import FieldError, UnsupportedMediaType, ValidationProblem
from order_engine.contracts.queries import ListOrders, cursor_after, place_of
from order_engine.contracts.requests import DIALECTS, parse_order
from order_engine.contracts.responses import (
    PROBLEM_JSON,
    ClientConfig,
    Health,
    OrderAccepted,
    OrderPage,
    OrderResource,
    OrderWithEvents,
    Problem,
    QuotedOrder,
    Statistics,
)
from order_engine.domain.orders import SwapRequest
from order_engine.runtime.http_pages import add_site
from order_engine.runtime.http_parts import ApiParts
from order_engine.runtime.http_problems import answer_errors
from order_engine.runtime.telemetry import log_also_about
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.check_health import CheckHealth
from order_engine.service.ports import Clock, OrderFilter, Position
from order_engine.service.quote_order import QuoteOrder
from order_engine.service.read_orders import ReadOrders
from order_engine.service.read_stats import ReadStats

TITLE = "Order execution engine"
SUBMIT_PATHS = ("/api/orders", "/api/orders/execute", "/orders/execute")

_SCHEMAS = "#/components/schemas/"


class OrderApi(FastAPI):
    """FastAPI, whose OpenAPI document also has the models that it does not read or write itself."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            models = [(model, "validation") for model in (*DIALECTS, Problem)]
            _, schemas = models_json_schema(models, ref_template=_SCHEMAS + "{model}")  # type: ignore[arg-type]
            super().openapi()["components"]["schemas"].update(schemas["$defs"])
        return super().openapi()


def create_app(parts: ApiParts) -> FastAPI:
    app = OrderApi(
        title=TITLE,
        version="0.1.0",
        summary="Swaps on decentralized exchanges, each executed at most once.",
        # Relative to the document, so that it also holds below a stage's path.
        servers=[{"url": "."}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=_problems({500: "Our fault; the request id finds it in the logs"}),
    )
    answer_errors(app)
    _add_submission(app, parts.accept)
    _add_quotes(app, parts.quote)
    _add_reading(app, parts.read)
    _add_config(app, parts)
    _add_stats(app, parts.stats)
    _add_health(app, parts.health, parts.clock)
    add_site(app, parts.dashboard, page="/", assets="/assets", web_socket_url=parts.web_socket_url)
    add_site(app, parts.documentation, page="/docs", assets="/docs", web_socket_url=parts.web_socket_url)
    return app


def _add_submission(app: FastAPI, accept: AcceptOrder) -> None:
    async def submit_order(
        response: Response,
        request: Annotated[SwapRequest, Depends(_order_in_body)],
        key: Annotated[IdempotencyKey | None, Header(alias="Idempotency-Key")] = None,
    ) -> OrderAccepted:
        """Accept an order. The same request under the same key gets the first answer again."""
        order = await accept(request, key=key)
        log_also_about(order_id=order.order_id)
        response.headers["Location"] = f"/api/orders/{order.order_id}"
        return OrderAccepted.of(order.events[0])

    problems = {
        400: "The body is not JSON",
        413: "The body is too large",
        415: "The body is not sent as application/json",
        422: "A field is wrong, or the idempotency key belongs to another request",
        503: "Not accepted as far as known; try again with the same Idempotency-Key",
    }
    accepted = {"headers": {"Location": {"description": "The order's path", "schema": {"type": "string"}}}}
    for path in SUBMIT_PATHS:
        app.add_api_route(
            path,
            submit_order,
            methods=["POST"],
            status_code=202,
            responses={202: accepted, **_problems(problems)},
            openapi_extra={"requestBody": _ORDER_BODY},
        )


def _add_quotes(app: FastAPI, quote: QuoteOrder) -> None:
    problems = {
        400: "The body is not JSON",
        413: "The body is too large",
        415: "The body is not sent as application/json",
        422: "A field is wrong, or the order could not be executed now: `code` is the errorCode it would fail with",
        503: "The venues are away",
    }

    @app.post("/api/quotes", responses=_problems(problems), openapi_extra={"requestBody": _ORDER_BODY})
    async def quote_order(request: Annotated[SwapRequest, Depends(_order_in_body)]) -> QuotedOrder:
        """What an order would get if it were executed now. The body is the order's; nothing is stored or promised."""
        return QuotedOrder.of(await quote(request))


def _add_reading(app: FastAPI, read: ReadOrders) -> None:
    @app.get(
        "/api/orders",
        dependencies=[Depends(_each_parameter_once)],
        responses=_problems(
            {400: "The cursor is not one", 422: "A parameter is wrong or unknown", 503: "The history is away"}
        ),
    )
    async def list_orders(query: Annotated[ListOrders, Query()]) -> OrderPage:
        """Live and finished orders in one list, each once, newest first."""
        before = None if query.cursor is None else Position(*place_of(query.cursor))
        wanted = OrderFilter(query.status, query.type, query.user_id, query.tokens, query.since, query.until)
        page = await read.page(wanted, before=before, limit=query.limit)
        next_cursor = None if page.next is None else cursor_after(page.next.created_at, page.next.order_id)
        return OrderPage(orders=[OrderResource.of(order) for order in page.orders], next_cursor=next_cursor)

    @app.get(
        "/api/orders/{orderId}",
        responses=_problems({404: "No order has this id", 503: "The table or the history is away"}),
        openapi_extra={"parameters": [_ORDER_ID]},
    )
    async def get_order(request: Request) -> OrderWithEvents:
        """The order and everything that has happened to it, from the moment it was accepted."""
        order, events = await read.one(request.path_params["orderId"])
        return OrderWithEvents.with_events(order, events)


def _add_config(app: FastAPI, parts: ApiParts) -> None:
    @app.get("/api/config")
    async def get_config() -> ClientConfig:
        """What a client has to know to place orders here and to watch them."""
        return ClientConfig.of(parts.web_socket_url, venues=[venue.name for venue in parts.quote.venues()])


def _add_stats(app: FastAPI, stats: ReadStats) -> None:
    @app.get("/api/stats")
    async def get_stats() -> Statistics:
        """How the engine is doing; some seconds old. What hangs on a part that is away is null, and the part named."""
        return Statistics.of(await stats())


def _add_health(app: FastAPI, health: CheckHealth, clock: Clock) -> None:
    @app.get("/health")
    async def get_health() -> Health:
        """200 while the API itself answers; `status` and `parts` say how the rest is."""
        parts = await health()
        return Health(
            status="ok" if all(parts.values()) else "degraded",
            timestamp=clock.now(),
            parts={name: "ok" if is_well else "unavailable" for name, is_well in parts.items()},
        )


async def _order_in_body(request: Request) -> SwapRequest:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the order as application/json")
    return parse_order(parse_json(await request.body()))


def _each_parameter_once(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValidationProblem(*(FieldError(pointer=name, detail="appears more than once") for name in repeated))


def _problems(descriptions: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    content = {PROBLEM_JSON: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    return {status: {"description": description, "content": content} for status, description in descriptions.items()}


# Not a parameter of the route's function: FastAPI would document answers that it cannot have.
_ORDER_ID = {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}

_ORDER_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [{"$ref": f"{_SCHEMAS}{dialect.__name__}"} for dialect in DIALECTS]},
            "examples": {
                "tokenIn, tokenOut": {
                    "value": {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5", "slippageBps": 100}
                },
                "inputToken, outputToken": {"value": {"inputToken": "SOL", "outputToken": "USDC", "amount": 1.5}},
                "baseToken, quoteToken, side": {
                    "value": {"baseToken": "SOL", "quoteToken": "USDC", "amount": 2.5, "side": "buy", "userId": "u1"}
                },
            },
        }
    },
}
