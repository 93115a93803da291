"""Composition root of submit_order: the HTTP API behind API Gateway."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from pydantic import BaseModel, ConfigDict

from order_engine.adapters.aws import client
from order_engine.adapters.dynamodb import DynamoOrders
from order_engine.adapters.postgres import PostgresHistory
from order_engine.adapters.sqs import SqsOrderQueue, SqsQueueGauge, SqsStatusQueue
from order_engine.adapters.system import SystemClock, SystemRandomness
from order_engine.contracts.responses import PROBLEM_JSON
from order_engine.runtime.database import database_login
from order_engine.runtime.faults import fault_plan
from order_engine.runtime.http_parts import ApiParts
from order_engine.runtime.metrics import EmfMetrics, measured
from order_engine.runtime.settings import Settings
from order_engine.runtime.sites import dashboard, documentation
from order_engine.runtime.telemetry import configure_logging
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.check_health import CheckHealth
from order_engine.service.ports import Venue
from order_engine.service.quote_order import QuoteOrder
from order_engine.service.read_orders import ReadOrders
from order_engine.service.read_stats import ReadStats


def compose(folder: Path, variables: Mapping[str, str] = os.environ) -> Callable[[Any, Any], Any]:
    """`folder` is the function's own, which has the pages that it serves."""
    configure_logging(variables)
    settings, metrics = Settings(variables), EmfMetrics.of(variables)
    dynamodb, sqs = client("dynamodb"), client("sqs")
    clock, randomness = SystemClock(), SystemRandomness()
    faults = fault_plan("submit_order", settings, dynamodb)
    orders = faults.wrap("orders", DynamoOrders(dynamodb, settings.text("ORDERS_TABLE")))
    history = faults.wrap("history", PostgresHistory(settings.text("DATABASE_URL"), database_login(settings)))
    seed, quote_delay_ms = settings.integer("MARKET_SEED"), settings.integer("QUOTE_DELAY_MS")

    @cache
    def quoted_venues() -> Sequence[Venue]:
        # Only now: a cold start is mostly for something else.
        from order_engine.adapters.market import Market  # noqa: PLC0415
        from order_engine.adapters.venues import venues  # noqa: PLC0415

        return [faults.wrap(f"venues.{venue.name}", venue) for venue in venues(Market(seed), clock, quote_delay_ms)]

    queues = {
        "orders": settings.text("ORDER_QUEUE_URL"),
        "statuses": settings.text("STATUS_QUEUE_URL"),
        "dead_letters": settings.text("ORDER_DEAD_LETTER_QUEUE_URL"),
    }
    gauges = {name: faults.wrap(f"gauges.{name}", SqsQueueGauge(sqs, url)) for name, url in queues.items()}
    accept = AcceptOrder(
        orders=orders,
        queue=faults.wrap("queue", SqsOrderQueue(sqs, settings.text("ORDER_QUEUE_URL"), randomness)),
        statuses=faults.wrap("statuses", SqsStatusQueue(sqs, settings.text("STATUS_QUEUE_URL"), randomness)),
        clock=clock,
        randomness=randomness,
        metrics=metrics,
    )
    handler = compose_api(
        ApiParts(
            accept=accept,
            read=ReadOrders(orders=orders, history=history),
            quote=QuoteOrder(venues=quoted_venues, clock=clock),
            stats=ReadStats(orders=orders, history=history, queues=gauges, clock=clock),
            health=CheckHealth(orders=orders, history=history),
            clock=clock,
            dashboard=dashboard(folder / "dashboard"),
            documentation=documentation(folder / "docs"),
            # The management URL is where functions post to; clients connect to the same place.
            web_socket_url="ws" + settings.text("WEBSOCKET_ENDPOINT").removeprefix("http"),
        )
    )
    return measured(handler, metrics)


def compose_api(parts: ApiParts) -> Mangum:
    """The Lambda handler of the API."""
    with _models_built_when_used():
        import fastapi.openapi.models  # noqa: F401, PLC0415
    from order_engine.runtime.http_api import create_app  # noqa: PLC0415

    app = create_app(parts)
    # RequestBoundary logs one line a request, and every error, with more to it.
    logging.getLogger("mangum").setLevel(logging.CRITICAL)
    # Mangum takes other types for binary and would encode them in base64.
    return Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, PROBLEM_JSON, "image/svg+xml"])


@contextmanager
def _models_built_when_used() -> Iterator[None]:
    """Only who reads the documentation needs FastAPI's models of OpenAPI: a seventh of the cold start."""
    usual = BaseModel.model_config
    BaseModel.model_config = ConfigDict(defer_build=True)
    try:
        yield
    finally:
        BaseModel.model_config = usual
