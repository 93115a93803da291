"""What AWS charges for orders: what was counted, times its price."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from benchmarks import prices
from benchmarks.counted import FUNCTIONS, billed_ms, of_kind, units
from benchmarks.dialects import Json
from benchmarks.load import Seen
from benchmarks.stacks import Line

_READS = frozenset({"GetItem", "Query", "BatchGetItem"})


def bill(lines: Sequence[Line], seen: Sequence[Seen], log_bytes: int) -> list[Json]:
    """What each cent buys: how many of what an order takes, and what a million orders pay for them."""
    calls, invocations = of_kind(lines, "call"), of_kind(lines, "invocation")
    by_function = {name: [line for line in invocations if line["function"] == name] for name in FUNCTIONS}
    table = [line for line in calls if line["target"] == "orders"]
    sent = {name: _chunks(calls, name, 64) for name in ("order queue", "status queue")}
    # One receive and one delete for a batch: made by Lambda itself, so not counted but reckoned.
    polled = {name: 2 * len(by_function[name]) for name in ("ExecuteOrder", "WsNotify")}
    said = sum(line["event"] == "MESSAGE" for line in by_function["WsConnect"])
    minutes = sum(each.ended_at - (each.answered_at or each.sent_at) for each in seen) / 60
    frames = sum(line["bytes"] for line in calls if line["target"] == "sockets")
    rows = [
        ("HTTP API: requests", len(by_function["SubmitOrder"]), prices.HTTP_API_REQUEST),
        ("WebSocket API: messages", _chunks(calls, "sockets", 32) + said, prices.WEBSOCKET_MESSAGE),
        ("WebSocket API: connection minutes", minutes, prices.WEBSOCKET_MINUTE),
        ("Lambda: requests", len(invocations), prices.LAMBDA_REQUEST),
        *(
            (
                f"Lambda: GB-seconds of {name}",
                sum(billed_ms(line) * line["memoryMb"] for line in by_function[name]) / 1024 / 1000,
                prices.LAMBDA_GB_SECOND,
            )
            for name in FUNCTIONS
        ),
        (
            "DynamoDB: write units",
            sum(units(line) for line in table if line["operation"] not in _READS),
            prices.DYNAMODB_WRITE_UNIT,
        ),
        (
            "DynamoDB: read units",
            sum(units(line) for line in table if line["operation"] in _READS),
            prices.DYNAMODB_READ_UNIT,
        ),
        ("SQS: order queue, sent", sent["order queue"], prices.SQS_REQUEST),
        ("SQS: order queue, received and deleted", polled["ExecuteOrder"], prices.SQS_REQUEST),
        ("SQS: status queue, sent", sent["status queue"], prices.SQS_FIFO_REQUEST),
        ("SQS: status queue, received and deleted", polled["WsNotify"], prices.SQS_FIFO_REQUEST),
        ("Transfer out: GB of frames", frames / 1e9, prices.TRANSFER_OUT_GB),
        ("CloudWatch Logs: GB", log_bytes / 1e9, prices.LOGS_GB),
    ]
    return [
        {"what": what, "anOrder": amount / len(seen), "dollars": amount / len(seen) * price * 1e6}
        for what, amount, price in rows
    ]


def _chunks(calls: Sequence[Line], target: str, kilobytes: int) -> int:
    """Requests, each of so much; a larger one counts for several."""
    return sum(max(math.ceil(line["bytes"] / (kilobytes * 1024)), 1) for line in calls if line["target"] == target)


def bill_table(rows: Sequence[Json], title: str) -> Table:
    table = Table(
        "what", "an order", "$ for a million orders",
        title=title,
        caption=f"Prices of {prices.REGION}, {prices.DATE}; functions warm, sockets open until the order's end; without"
        " Postgres, and without the chain, which is simulated. Receives and deletes, which Lambda makes itself, are"
        " reckoned: two for an invocation",
    )  # fmt: skip
    for row in rows:
        table.add_row(row["what"], f"{row['anOrder']:.3g}", f"{row['dollars']:.2f}")
    table.add_section()
    table.add_row("all", "", f"{sum(row['dollars'] for row in rows):.2f}")
    logs = sum(row["dollars"] for row in rows if row["what"].startswith("CloudWatch"))
    table.add_row("without logs", "", f"{sum(row['dollars'] for row in rows) - logs:.2f}")
    return table
