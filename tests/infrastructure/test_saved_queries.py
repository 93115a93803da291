"""The saved queries look for what is really logged, in the groups in which it is."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import Any

import pytest

from order_engine.runtime.telemetry import JsonHandler
from tests.fakes import reverts
from tests.functions.test_ws_connect import ORDER, Gateway
from tests.infrastructure.stack import stack_with, target
from tests.unit.test_execute_order import Bench

QUERIES = stack_with().of_type("AWS::Logs::QueryDefinition")

each_query = pytest.mark.parametrize("name", QUERIES)

# Of the query language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
WORDS = {
    *("fields", "filter", "stats", "sort", "limit", "by", "as", "and", "in", "asc", "desc"),
    *("count", "avg", "max", "ispresent"),
}
DISCOVERED = {"@timestamp", "@log", "@type", "@initDuration", "@maxMemoryUsed"}
"""Fields that CloudWatch finds in the lines of Lambda by itself."""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """What is logged of an order that comes over a socket, one that is confirmed, and one that fails."""
    stream = io.StringIO()
    handler, logger = JsonHandler("stack"), logging.getLogger("order_engine")
    handler.setStream(stream)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        Gateway().say({"action": "submit", "order": ORDER})
        Bench().execute()
        failing = Bench()
        failing.chain.fate = reverts
        failing.execute_until_settled()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@each_query
def test_a_query_asks_for_fields_that_are_logged(name: str, lines: list[dict[str, Any]]) -> None:
    query = re.sub(r"'[^']*'", "", QUERIES[name]["QueryString"])
    aliases = set(re.findall(r"\bas (\w+)", query))
    named = set(re.findall(r"@?\b[A-Za-z]\w*|@\w+", query)) - WORDS - aliases
    logged = {field for line in lines for field in line}
    assert named <= logged | DISCOVERED


@each_query
def test_a_query_asks_for_messages_that_are_logged(name: str, lines: list[dict[str, Any]]) -> None:
    filters = re.findall(r"message (?:=|in) (\[[^\]]*\]|'[^']*')", QUERIES[name]["QueryString"])
    messages = {message for each in filters for message in re.findall(r"'([^']*)'", each)}
    assert messages <= {line["message"] for line in lines}


def test_the_story_of_an_order_is_looked_for_in_the_logs_of_all_functions_that_meet_it() -> None:
    groups = {target(group) for group in QUERIES["OrderStoryQuery"]["LogGroupNames"]}
    assert groups == {"SubmitOrderLogs", "ExecuteOrderLogs", "WsConnectLogs", "WsNotifyLogs", "WatchOrdersLogs"}


@each_query
def test_a_query_looks_in_groups_that_there_are(name: str) -> None:
    assert {target(group) for group in QUERIES[name]["LogGroupNames"]} <= stack_with().of_type(
        "AWS::Logs::LogGroup"
    ).keys()


def test_every_line_about_an_order_names_it(lines: list[dict[str, Any]]) -> None:
    assert lines
    assert [line for line in lines if "order_id" not in line] == []
