"""Triggers call published versions, and what a deploy changes is in the next one."""

from __future__ import annotations

from typing import Any

from local.stack import Stack
from tests.e2e.clients import Client, Json, run
from tests.e2e.conftest import PARAMETERS
from tests.e2e.polling import poll
from tests.e2e.stacks import running_stack


def test_a_change_of_parameters_is_published(stack: Stack) -> None:
    before = _live(stack, "ExecuteOrder")["Version"]
    stack.deploy(QuoteDelayMs="60")
    try:
        worker = _live(stack, "ExecuteOrder")
        assert worker["Environment"]["Variables"]["QUOTE_DELAY_MS"] == "60"
        assert worker["Version"] != before
    finally:
        stack.deploy()
    poll(
        lambda: _live(stack, "ExecuteOrder")["Environment"]["Variables"]["QUOTE_DELAY_MS"],
        until=lambda value: value == "50",
    )


def test_queues_feed_published_versions(stack: Stack) -> None:
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert len(mappings) == 2
    assert all(mapping["FunctionArn"].endswith(":live") for mapping in mappings)


def test_functions_that_start_from_snapshots_execute_orders() -> None:
    with running_stack("snapshots", {**PARAMETERS, "SnapStart": "on"}) as stack:
        snapshots = {
            name: _live(stack, name)["SnapStart"]["OptimizationStatus"] for name in ("ExecuteOrder", "WsConnect")
        }

        async def scenario(client: Client) -> list[Json]:
            async with client.watch(tokenIn="SOL", tokenOut="USDC", amount="1.5") as watch:
                return await watch.end()

        assert run(stack, scenario)[-1]["status"] == "confirmed"
    assert snapshots == {"ExecuteOrder": "On", "WsConnect": "On"}


def _live(stack: Stack, name: str) -> dict[str, Any]:
    """The configuration that triggers find."""
    functions = stack.client("lambda").list_functions()["Functions"]
    (function,) = (one["FunctionName"] for one in functions if name in one["FunctionName"])
    configuration: dict[str, Any] = stack.client("lambda").get_function_configuration(
        FunctionName=function, Qualifier="live"
    )
    return configuration
