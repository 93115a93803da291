"""Composition root of ws_notify: the status queue's messages become frames."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from order_engine.adapters.aws import client
from order_engine.adapters.dynamodb import DynamoConnections, DynamoOrders
from order_engine.adapters.sqs import NotUnderstood, Record, SqsStatusQueue, come_again, status_message
from order_engine.adapters.system import SystemClock, SystemRandomness
from order_engine.adapters.websocket import ApiGatewaySockets
from order_engine.runtime.faults import fault_plan
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.settings import Settings
from order_engine.runtime.telemetry import configure_logging, log_about, log_also_about
from order_engine.runtime.tracing import traced
from order_engine.service.notify_clients import NotifyClients
from order_engine.service.ports import Frame, Replay, StatusMessage

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notifier:
    """Serves the groups of a batch at once, and each group's messages in their order."""

    notify: NotifyClients
    sqs: Any
    queue_url: str
    metrics: EmfMetrics

    async def work(self, records: Sequence[Record]) -> dict[str, list[dict[str, str]]]:
        """The partial batch response: within a group, everything from the first failure on must come again."""
        groups: dict[str, list[Record]] = {}
        for record in records:
            groups.setdefault(record["attributes"]["MessageGroupId"], []).append(record)
        with self.metrics.invocation():
            unserved = await asyncio.gather(*(self._work_group(group) for group in groups.values()))
        failures = [record["messageId"] for group in unserved for record in group]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failures]}

    async def _work_group(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those that must come again: from a failure on all, and what is no message at all, which nothing waits for."""
        nonsense: list[Record] = []
        for served, record in enumerate(records):
            log_about(message_id=record["messageId"], group=record["attributes"]["MessageGroupId"])
            try:
                message = status_message(record)
            except NotUnderstood:
                logger.exception("message not understood")
                # No other receive will make more of it: straight to the dead-letter queue.
                await come_again(self.sqs, self.queue_url, record, after_seconds=0)
                nonsense.append(record)
                continue
            log_also_about(**_names(message))
            try:
                with traced("status"):
                    await self.notify(message)
            except Exception:  # the outermost edge: one group's trouble is not the others'
                logger.exception("status message failed")
                return [*nonsense, *records[served:]]
        return nonsense


def _names(message: StatusMessage | Replay | Frame) -> dict[str, str]:
    """Whom the message is about, for the log."""
    match message:
        case StatusMessage(order_id=order_id):
            return {"order_id": order_id}
        case Replay(order_id=order_id, connection_id=connection_id):
            return {"order_id": order_id, "connection_id": connection_id}
        case Frame(connection_id=connection_id):
            return {"connection_id": connection_id}


def compose(variables: Mapping[str, str] = os.environ) -> Notifier:
    configure_logging(variables)
    settings, metrics = Settings(variables), EmfMetrics.of(variables)
    dynamodb, table = client("dynamodb"), settings.text("ORDERS_TABLE")
    sqs, queue_url = client("sqs"), settings.text("STATUS_QUEUE_URL")
    management = client("apigatewaymanagementapi", endpoint_url=settings.text("WEBSOCKET_ENDPOINT"))
    faults = fault_plan("ws_notify", settings, dynamodb)
    statuses = SqsStatusQueue(sqs, queue_url, SystemRandomness())
    notify = NotifyClients(
        connections=faults.wrap("connections", DynamoConnections(dynamodb, table)),
        orders=faults.wrap("orders", DynamoOrders(dynamodb, table)),
        statuses=faults.wrap("statuses", statuses),
        sockets=faults.wrap("sockets", ApiGatewaySockets(management)),
        clock=SystemClock(),
        metrics=metrics,
    )
    return Notifier(notify, sqs, queue_url, metrics)
