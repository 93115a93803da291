"""The stack that everything else here runs on: reachable on loopback, and its parts can go and come back."""

from __future__ import annotations

import json

import httpx
import psycopg
import pytest

from local.demo import show_sample_order
from local.stack import Stack
from tests.e2e.polling import poll


def test_a_sample_order_is_shown_from_pending_to_confirmed(stack: Stack) -> None:
    lines: list[str] = []

    show_sample_order(stack.endpoints, lines.append)

    statuses = ["pending", "routing", "building", "submitted", "confirmed"]
    assert [line.split()[2] for line in lines[1:]] == statuses


def test_endpoints_are_written_for_other_tools(stack: Stack) -> None:
    written = json.loads((stack.directory / "endpoints.json").read_text())

    assert written.keys() == {"http", "ws", "aws", "postgres", "region"}
    assert httpx.get(f"{written['http']}/health", timeout=10).status_code == 200
    with psycopg.connect(written["postgres"]) as connection:
        assert connection.execute("SELECT count(*) FROM order_status_history").fetchone()


def test_postgres_keeps_its_data_and_its_url_over_a_restart(stack: Stack) -> None:
    with psycopg.connect(stack.endpoints.postgres) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    stack.postgres.stop()
    try:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(stack.endpoints.postgres, connect_timeout=2)
    finally:
        stack.postgres.start()

    with psycopg.connect(stack.endpoints.postgres) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")


def test_a_change_of_parameters_reaches_the_functions(stack: Stack) -> None:
    stack.deploy(QuoteDelayMs="60")
    try:
        assert _variable(stack, "QUOTE_DELAY_MS") == "60"
    finally:
        stack.deploy()
    poll(lambda: _variable(stack, "QUOTE_DELAY_MS"), until=lambda value: value == "50")


def test_a_browser_may_call_from_the_pages_that_are_named_and_from_no_others(stack: Stack) -> None:
    stack.deploy(CorsOrigins="https://app.example.com,https://other.example.com")
    try:
        allowed, refused = (_preflight(stack, origin) for origin in ("https://app.example.com", "https://evil.example"))
    finally:
        stack.deploy()

    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    assert "idempotency-key" in allowed.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Origin" not in refused.headers


def _preflight(stack: Stack, origin: str) -> httpx.Response:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
    return httpx.options(f"{stack.endpoints.http}/api/orders", headers={"Origin": origin} | asked, timeout=10)


def _variable(stack: Stack, name: str) -> str:
    functions = stack.client("lambda").list_functions()["Functions"]
    (execute,) = (function for function in functions if "ExecuteOrder" in function["FunctionName"])
    return str(execute["Environment"]["Variables"][name])
