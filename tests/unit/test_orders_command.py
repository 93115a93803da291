"""The command line where no engine is needed: what it loads, what it shows, how it measures."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from order_client.cli.app import app
from order_client.cli.bench import Sample, percentiles, summary
from order_client.cli.lines import describe
from order_client.cli.options import moment
from order_client.cli.tables import bars
from order_client.decoding import decode
from order_client.models import Event, Minute

EVENT = {
    "orderId": "o-1",
    "sequence": 3,
    "progress": 50,
    "attempt": 1,
    "timestamp": "2026-11-21T03:04:05.678Z",
}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"status": "routing", "message": "Comparing venues"}, "routing    Comparing venues"),
        (
            {"status": "building", "message": "Route chosen: raydium", "reason": "raydium gives more"},
            "building   Route chosen: raydium; raydium gives more",
        ),
        (
            {"status": "submitted", "message": "Transaction submitted to raydium", "signature": "5JF7"},
            "submitted  Transaction submitted to raydium; signature 5JF7",
        ),
        (
            {"status": "pending", "message": "Trying again", "error": "Reverted by raydium"},
            "pending    Trying again; Reverted by raydium",
        ),
        (
            {
                "status": "confirmed",
                "message": "Swapped on raydium",
                "amountIn": "1.5",
                "amountOut": "224.9",
                "executedPrice": "149.93",
                "txHash": "5JF7",
            },
            "confirmed  Swapped on raydium; 224.9 for 1.5, price 149.93; transaction 5JF7",
        ),
    ],
)
def test_a_status_is_one_line_to_read(event: dict[str, Any], line: str) -> None:
    assert describe(decode(Event, EVENT | event)) == line


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], ["dlq", "replay", "--help"]])
def test_help_is_there_without_loading_what_only_asking_needs(arguments: list[str]) -> None:
    program = (
        "import json, sys; from order_client.cli.app import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: print(json.dumps(list(sys.modules)))"
    )
    command = [sys.executable, "-c", program, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(json.loads(ended.stdout.splitlines()[-1]))
    assert "Usage: " in ended.stdout
    assert loaded.isdisjoint({"httpx", "websockets", "boto3", "botocore"})


def commands() -> list[list[str]]:
    own = [[command.name] for command in app.registered_commands]
    return [*own, *(["dlq", name] for name in ("list", "show", "replay"))]  # type: ignore[list-item]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_takes_an_engine_and_speaks_json(command: list[str]) -> None:
    # Wide enough for names not to be cut.
    shown = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(app, [*command, "--help"]).output
    for option in ("--url", "--profile", "--stack", "--json"):
        assert option in shown


def test_a_time_without_an_offset_is_local_and_nonsense_is_said_to_be_none() -> None:
    assert moment("2026-11-21T03:04:05Z") == datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)
    assert moment("2026-11-21T03:04").tzinfo is not None
    with pytest.raises(typer.BadParameter, match="'soon' is no time"):
        moment("soon")


def test_a_minute_with_an_order_is_never_shown_as_empty() -> None:
    counts = [0, 1, 100, 50]
    at = datetime(2026, 11, 21, tzinfo=UTC)
    shown = bars(Minute(minute=at, confirmed=count, failed=0, expired=0) for count in counts)
    assert shown == " ▁█▄ up to 100"
    assert bars([]) == ""


def test_a_summary_counts_failures_and_leaves_them_out_of_the_speed() -> None:
    samples = [
        Sample(accepted_s=0.01, ended_s=2.0),
        Sample(accepted_s=0.03, ended_s=4.0),
        Sample(accepted_s=0.02, ended_s=0.1, failure="NO_ROUTE_FOUND"),
        Sample(failure="Unreachable"),
    ]
    assert summary(samples, 2, 8.0) == {
        "orders": 4,
        "concurrency": 2,
        "seconds": 8.0,
        "confirmed": 2,
        "ordersPerSecond": 0.25,
        "acceptedMs": {"p50": 20.0, "p95": 29.0, "p99": 29.8},
        "confirmedMs": {"p50": 3000.0, "p95": 3900.0, "p99": 3980.0},
        "failures": {"NO_ROUTE_FOUND": 1, "Unreachable": 1},
    }


def test_few_values_have_percentiles_and_none_have_none() -> None:
    assert percentiles([0.5]) == {"p50": 500.0, "p95": 500.0, "p99": 500.0}
    assert percentiles([]) is None
