"""Composition root of execute_order: the execution protocol behind the order queue."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Every order is recorded: psycopg is better loaded at init than while the first of them waits.
import order_engine.adapters.database  # noqa: F401
from order_engine.adapters.aws import client
from order_engine.adapters.chain import SimulatedChain
from order_engine.adapters.dynamodb import DynamoOrders
from order_engine.adapters.ledger import Ledger
from order_engine.adapters.market import Market
from order_engine.adapters.postgres import PostgresHistory
from order_engine.adapters.sqs import NotUnderstood, Record, SqsOrderQueue, SqsStatusQueue, come_again, order_message
from order_engine.adapters.system import SystemClock, SystemRandomness
from order_engine.adapters.venues import programs, venues
from order_engine.domain.errors import OrderNotFound
from order_engine.runtime.database import database_login
from order_engine.runtime.faults import fault_plan
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.settings import Settings
from order_engine.runtime.telemetry import configure_logging, log_about, log_also_about
from order_engine.runtime.tracing import traced
from order_engine.service.execute_order import Back, ExecuteOrder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OrderWorker:
    """Executes the orders of a batch at once, each with its own failure."""

    execute: ExecuteOrder
    sqs: Any
    queue_url: str
    metrics: EmfMetrics

    async def work(self, records: Sequence[Record], deadline: datetime) -> dict[str, list[dict[str, str]]]:
        """The partial batch response: the messages that must come back."""
        with self.metrics.invocation():
            finished = await asyncio.gather(*(self._work_one(record, deadline) for record in records))
        unfinished = [record["messageId"] for record, is_done in zip(records, finished, strict=True) if not is_done]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in unfinished]}

    async def _work_one(self, record: Record, deadline: datetime) -> bool:
        log_about(message_id=record["messageId"])
        try:
            message = order_message(record)
            log_also_about(order_id=message.order_id)
            with traced("order"):
                verdict = await self.execute(message, deadline)
        except (NotUnderstood, OrderNotFound):
            # No other receive will make more of it: straight to the dead-letter queue.
            logger.exception("message not understood")
            verdict = Back(0)
        except Exception:  # the outermost edge: one message's bug must not fail the batch
            logger.exception("message failed")
            return False
        if isinstance(verdict, Back):
            await come_again(self.sqs, self.queue_url, record, after_seconds=verdict.after_seconds)
        return not isinstance(verdict, Back)


def compose(variables: Mapping[str, str] = os.environ) -> OrderWorker:
    configure_logging(variables)
    settings, metrics = Settings(variables), EmfMetrics.of(variables)
    dynamodb, sqs = client("dynamodb"), client("sqs")
    clock, randomness = SystemClock(), SystemRandomness()
    faults = fault_plan("execute_order", settings, dynamodb)
    seed = settings.integer("MARKET_SEED")
    market = Market(seed)
    chain = SimulatedChain(
        ledger=Ledger(dynamodb, settings.text("LEDGER_TABLE")),
        clock=clock,
        programs=programs(market),
        seed=seed,
        landing_min_ms=settings.integer("LANDING_MIN_MS"),
        landing_max_ms=settings.integer("LANDING_MAX_MS"),
        revert_rate=settings.rate("REVERT_RATE"),
        drop_rate=settings.rate("DROP_RATE"),
    )
    queue_url = settings.text("ORDER_QUEUE_URL")
    engine = ExecuteOrder(
        orders=faults.wrap("orders", DynamoOrders(dynamodb, settings.text("ORDERS_TABLE"))),
        queue=faults.wrap("queue", SqsOrderQueue(sqs, queue_url, randomness)),
        statuses=faults.wrap("statuses", SqsStatusQueue(sqs, settings.text("STATUS_QUEUE_URL"), randomness)),
        history=faults.wrap("history", PostgresHistory(settings.text("DATABASE_URL"), database_login(settings))),
        venues=[
            faults.wrap(f"venues.{venue.name}", venue)
            for venue in venues(market, clock, settings.integer("QUOTE_DELAY_MS"))
        ],
        chain=faults.wrap("chain", chain),
        clock=clock,
        randomness=randomness,
        metrics=metrics,
    )
    return OrderWorker(engine, sqs, queue_url, metrics)
