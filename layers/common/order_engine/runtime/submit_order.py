"""Composition root of submit_order: the HTTP API behind API Gateway."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from pydantic import BaseModel, ConfigDict

from order_engine.adapters.aws import client
from order_engine.adapters.dynamodb import DynamoOrders
from order_engine.adapters.postgres import PostgresHistory
from order_engine.adapters.sqs import SqsOrderQueue, SqsStatusQueue
from order_engine.adapters.system import SystemClock, SystemRandomness
from order_engine.contracts.responses import PROBLEM_JSON
from order_engine.runtime.faults import fault_plan
from order_engine.runtime.settings import Settings
from order_engine.runtime.telemetry import configure_logging
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.check_health import CheckHealth
from order_engine.service.ports import Clock
from order_engine.service.read_orders import ReadOrders


def compose(variables: Mapping[str, str] = os.environ) -> Mangum:
    configure_logging(variables)
    settings = Settings(variables)
    dynamodb, sqs = client("dynamodb"), client("sqs")
    clock, randomness = SystemClock(), SystemRandomness()
    faults = fault_plan("submit_order", settings, dynamodb)
    orders = faults.wrap("orders", DynamoOrders(dynamodb, settings.text("ORDERS_TABLE")))
    history = faults.wrap("history", PostgresHistory(settings.text("DATABASE_URL")))
    accept = AcceptOrder(
        orders=orders,
        queue=faults.wrap("queue", SqsOrderQueue(sqs, settings.text("ORDER_QUEUE_URL"), randomness)),
        statuses=faults.wrap("statuses", SqsStatusQueue(sqs, settings.text("STATUS_QUEUE_URL"), randomness)),
        clock=clock,
        randomness=randomness,
    )
    return compose_api(
        accept, ReadOrders(orders=orders, history=history), CheckHealth(orders=orders, history=history), clock
    )


def compose_api(accept: AcceptOrder, read: ReadOrders, health: CheckHealth, clock: Clock) -> Mangum:
    """The Lambda handler of the API."""
    with _models_built_when_used():
        import fastapi.openapi.models  # noqa: F401, PLC0415
    from order_engine.runtime.http_api import create_app  # noqa: PLC0415

    app = create_app(accept=accept, read=read, health=health, clock=clock)
    # RequestBoundary logs one line a request, and every error, with more to it.
    logging.getLogger("mangum").setLevel(logging.CRITICAL)
    # Mangum takes other types for binary and would encode them in base64.
    return Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, PROBLEM_JSON])


@contextmanager
def _models_built_when_used() -> Iterator[None]:
    """Only who reads the documentation needs FastAPI's models of OpenAPI: a seventh of the cold start."""
    usual = BaseModel.model_config
    BaseModel.model_config = ConfigDict(defer_build=True)
    try:
        yield
    finally:
        BaseModel.model_config = usual
