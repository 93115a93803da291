"""The history of finished orders in Postgres.

Each method is one statement: one transaction, one round trip, and prepared by psycopg once it has run a few times.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from order_engine.domain.events import Event
from order_engine.domain.orders import TERMINAL, Order, Status
from order_engine.domain.statistics import EndedOrders, Percentiles
from order_engine.domain.summaries import OrderSummary
from order_engine.service.ports import OrderFilter, Position

if TYPE_CHECKING:
    from order_engine.adapters.database import Database, Together
    from order_engine.adapters.database_login import DatabaseLogin

# Columns that existing readers of this table know by another name than the API gives them.
_RENAMED = {"order_id": "id", "executed_price": "final_price", "error": "error_message"}

# A finished order has nothing to retry.
_COLUMNS = {
    field.name: _RENAMED.get(field.name, field.name) for field in fields(OrderSummary) if field.name != "retry_at"
}

_SUMMARY = ", ".join(f"{column} AS {field}" for field, column in _COLUMNS.items())

_RECORD = f"""
WITH recorded AS (
    INSERT INTO orders ({", ".join(_COLUMNS.values())})
    SELECT {", ".join(_COLUMNS.values())} FROM jsonb_populate_recordset(NULL::orders, %(orders)s::jsonb)
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.values())}
    WHERE excluded.sequence > orders.sequence
)
INSERT INTO order_status_history (order_id, sequence, status, payload, created_at)
SELECT event ->> 'orderId', (event ->> 'sequence')::integer, event ->> 'status', event,
       (event ->> 'timestamp')::timestamptz
FROM jsonb_array_elements(%(events)s::jsonb) AS event
ON CONFLICT (order_id, sequence) DO NOTHING
"""  # noqa: S608 (made of our own field names only)

GET = f"""
SELECT {_SUMMARY},
       (SELECT jsonb_agg(payload ORDER BY sequence) FROM order_status_history WHERE order_id = orders.id) AS events
FROM orders
WHERE id = %(order_id)s
"""  # noqa: S608

ENDED = """
WITH ended AS MATERIALIZED (
    SELECT status, error_code, price_improvement_bps, date_trunc('minute', updated_at) AS minute,
           round(extract(epoch FROM updated_at - created_at) * 1000)::bigint AS duration_ms
    FROM orders
    WHERE updated_at >= %(since)s AND updated_at < %(until)s
), by_minute AS (
    SELECT minute, status, count(*) AS number FROM ended GROUP BY minute, status
), by_error AS (
    SELECT error_code, count(*) AS number FROM ended WHERE status = 'failed' GROUP BY error_code
)
SELECT (SELECT jsonb_agg(jsonb_build_array(minute, status, number)) FROM by_minute) AS by_minute,
       (SELECT jsonb_agg(jsonb_build_array(error_code, number)) FROM by_error) AS by_error,
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_ms) AS durations_ms,
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY price_improvement_bps) AS improvements_bps
FROM ended
WHERE status = 'confirmed'
"""

_CONDITIONS = {
    "type": "type = %(type)s",
    "user_id": "user_id = %(user_id)s",
    "token_in": "token_in = %(token_in)s",
    "token_out": "token_out = %(token_out)s",
    "since": "created_at >= %(since)s",
    "until": "created_at < %(until)s",
    "before": "(created_at, id) < (%(before)s, %(before_id)s)",
}


class PostgresHistory:
    """`History` on one connection a worker; see `Database` for what happens when Postgres is away."""

    def __init__(self, url: str, login: DatabaseLogin | None = None) -> None:
        self._url = url
        self._login = login

    async def record(self, order: Order) -> None:
        await self._records.execute(order)

    async def get(self, order_id: str) -> tuple[OrderSummary, list[Event]] | None:
        rows = await self._database.execute(GET, {"order_id": order_id})
        if not rows:
            return None
        events: list[Event] = rows[0].pop("events")
        return OrderSummary(**rows[0]), events

    async def find(self, filter: OrderFilter, *, before: Position | None, limit: int) -> list[OrderSummary]:
        rows = await self._database.execute(*find_query(filter, before=before, limit=limit))
        return [OrderSummary(**row) for row in rows]

    async def ended(self, since: datetime, until: datetime) -> EndedOrders:
        [row] = await self._database.execute(ENDED, {"since": since, "until": until})
        return EndedOrders(
            by_minute={
                (datetime.fromisoformat(minute), Status(status)): number
                for minute, status, number in row["by_minute"] or ()
            },
            by_error=dict(row["by_error"] or ()),
            time_to_confirm_ms=row["durations_ms"] and Percentiles(*row["durations_ms"]),
            price_improvement_bps=row["improvements_bps"] and Percentiles(*row["improvements_bps"]),
        )

    async def check(self) -> None:
        await self._database.execute("SELECT 1")

    @cached_property
    def _database(self) -> Database:
        # Only now, because it brings psycopg: 100 ms of a cold start for functions that mostly do without.
        from order_engine.adapters.database import Database  # noqa: PLC0415

        return Database(self._url, self._login)

    @cached_property
    def _records(self) -> Together[Order]:
        from order_engine.adapters.database import Together  # noqa: PLC0415

        return Together(self._database, record_query)


def record_query(orders: Sequence[Order]) -> tuple[str, dict[str, str]]:
    """The statement that records finished orders with their events, and its parameters."""
    # Sorted, so that two workers with the same orders cannot each wait for the other.
    orders = sorted(orders, key=lambda order: order.order_id)
    rows = [
        {column: getattr(summary, field) for field, column in _COLUMNS.items()}
        for summary in map(OrderSummary.of, orders)
    ]
    events = [event for order in orders for event in order.events]
    return _RECORD, {"orders": _json(rows), "events": _json(events)}


def find_query(filter: OrderFilter, *, before: Position | None, limit: int) -> tuple[str, dict[str, Any]]:
    """The statement and its parameters.

    A list of any status is merged from one of each, as every index has the statuses apart. Only the conditions asked
    for are in it. So each list has an index that gives just its orders, in order, and reads little more than a page.
    """
    token_in, token_out = filter.pair or (None, None)
    asked = {
        "type": filter.type,
        "user_id": filter.user_id,
        "token_in": token_in,
        "token_out": token_out,
        "since": filter.since,
        "until": filter.until,
        "before": before and before.created_at,
    }
    parameters = {name: value for name, value in asked.items() if value is not None}
    conditions = "".join(f" AND {_CONDITIONS[name]}" for name in parameters)
    statuses = [filter.status] if filter.status else sorted(TERMINAL)
    newest = "ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
    lists = (f"(SELECT * FROM orders WHERE status = '{status}'{conditions} {newest})" for status in statuses)  # noqa: S608
    statement = f"SELECT {_SUMMARY} FROM ({' UNION ALL '.join(lists)}) AS orders {newest}"  # noqa: S608
    return statement, {**parameters, "before_id": before and before.order_id, "limit": limit}


def _json(value: object) -> str:
    """Postgres reads decimals and times from text."""
    return json.dumps(value, default=str, ensure_ascii=False)
