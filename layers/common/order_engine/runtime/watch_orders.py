"""Composition root of watch_orders: the sweep that needs no message to start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from order_engine.adapters.aws import client
from order_engine.adapters.dynamodb import DynamoOrders
from order_engine.adapters.sqs import SqsOrderQueue
from order_engine.adapters.system import SystemClock, SystemRandomness
from order_engine.runtime.faults import fault_plan
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.settings import Settings
from order_engine.runtime.telemetry import configure_logging
from order_engine.service.watch_orders import Sweep, WatchOrders


@dataclass(frozen=True, slots=True)
class OrderWatch:
    watch: WatchOrders
    metrics: EmfMetrics

    async def run(self, deadline: datetime) -> Sweep:
        with self.metrics.invocation():
            return await self.watch(deadline)


def compose(variables: Mapping[str, str] = os.environ) -> OrderWatch:
    configure_logging(variables)
    settings, metrics = Settings(variables), EmfMetrics.of(variables)
    dynamodb = client("dynamodb")
    faults = fault_plan("watch_orders", settings, dynamodb)
    queue = SqsOrderQueue(client("sqs"), settings.text("ORDER_QUEUE_URL"), SystemRandomness())
    watch = WatchOrders(
        orders=faults.wrap("orders", DynamoOrders(dynamodb, settings.text("ORDERS_TABLE"))),
        queue=faults.wrap("queue", queue),
        clock=SystemClock(),
        metrics=metrics,
    )
    return OrderWatch(watch, metrics)
