"""The arithmetic of the benchmarks: what they say is what was counted."""

from __future__ import annotations

from statistics import quantiles
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bill import bill
from benchmarks.chain import SLOT_MS, Delays
from benchmarks.counted import FUNCTIONS, calls, function
from benchmarks.latency import steps_of
from benchmarks.load import Seen
from benchmarks.percentiles import percentile, percentiles
from benchmarks.profile import parts_of
from benchmarks.throughput import least_seconds
from local.stack import TEMPLATE
from local.template import read
from order_engine.service.execute_order import ExecutionPolicy

Line = dict[str, Any]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=200))
def test_percentiles_are_those_of_the_standard_library(values: list[float]) -> None:
    wanted = quantiles(values, n=100, method="inclusive")
    assert [percentile(values, share) for share in range(1, 100)] == pytest.approx(wanted)


def test_the_percentiles_of_one_value_are_this_value_and_those_of_none_are_none() -> None:
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}
    assert percentiles([]) == {}


@pytest.mark.parametrize(
    ("durations", "places", "seconds"),
    [([2.0, 3.0], 10, 3.0), ([1.0] * 7, 2, 4.0), ([3.0, 1.0, 1.0, 1.0], 2, 3.0), ([], 2, 0.0)],
)
def test_places_are_taken_as_they_become_free(durations: list[float], places: int, seconds: float) -> None:
    assert least_seconds(durations, places) == seconds


def test_slots_are_as_long_as_the_engine_takes_them_to_be() -> None:
    assert ExecutionPolicy().look_up_every_seconds == SLOT_MS / 1000


def call(name: str, service: str, operation: str, target: str, **fields: Any) -> Line:
    counted = {"at": 0.0, "until": 0.01, "cpu": 0.002, "counter": 0.0005, "capacity": None, "bytes": 100}
    call = {"function": name, "service": service, "operation": operation, "target": target}
    return {"kind": "call"} | call | counted | fields


def invocation(name: str, seconds: float, **fields: Any) -> Line:
    counted = {"cpu": 0.010, "messages": 1, "event": "", "memoryMb": 512, "target": "sockets"}
    return {"kind": "invocation", "function": name, "at": 5.0, "until": 5.0 + seconds} | counted | fields


LINES = [
    invocation("SubmitOrder", 0.02, memoryMb=1024),
    invocation("SubmitOrder", 0.02, memoryMb=1024),
    call("SubmitOrder", "dynamodb", "PutItem", "orders", capacity={"CapacityUnits": 2.0}),
    call("SubmitOrder", "sqs", "SendMessage", "order queue"),
    call("SubmitOrder", "sqs", "SendMessage", "order queue", bytes=100_000),
    invocation("ExecuteOrder", 3.0, messages=2),
    call("ExecuteOrder", "dynamodb", "BatchGetItem", "chain", capacity=[{"CapacityUnits": 2.0}]),
    call("WsNotify", "dynamodb", "Query", "orders", capacity={"CapacityUnits": 1.0}),
    call("WsNotify", "apigatewaymanagementapi", "PostToConnection", "sockets"),
]
"""Of two orders."""


def test_a_bill_is_what_was_counted_times_its_price() -> None:
    seen = [Seen(0.0, 0.5, "a", [(30.5, {"status": "confirmed"})]), Seen(0.0, 0.5, "b", [(60.5, {"status": "failed"})])]
    dollars = {row["what"]: row["dollars"] for row in bill(LINES, seen, log_bytes=4_000)}
    assert dollars == pytest.approx(
        {
            "HTTP API: requests": 1.00,
            "WebSocket API: messages": 0.50,
            "WebSocket API: connection minutes": 0.25 * 1.5 / 2,
            "Lambda: requests": 0.20 * 3 / 2,
            "Lambda: GB-seconds of SubmitOrder": 16.6667 * 0.02,
            "Lambda: GB-seconds of ExecuteOrder": 16.6667 * 3.0 * 0.5 / 2,
            "Lambda: GB-seconds of WsConnect": 0,
            "Lambda: GB-seconds of WsNotify": 0,
            "DynamoDB: write units": 0.625 * 2 / 2,
            "DynamoDB: read units": 0.125 * 1 / 2,
            # One of the two messages is of more than 64 KB.
            "SQS: order queue, sent": 0.40 * 3 / 2,
            "SQS: order queue, received and deleted": 0.40 * 2 / 2,
            "SQS: status queue, sent": 0,
            "SQS: status queue, received and deleted": 0,
            "Transfer out: GB of frames": 0.09 * 100 / 2 / 1e9 * 1e6,
            "CloudWatch Logs: GB": 0.50 * 2_000 / 1e9 * 1e6,
        },
        rel=1e-4,
    )


def test_calls_are_counted_by_what_they_go_to() -> None:
    found = {(each["function"], each["operation"], each["target"]): each["calls"] for each in calls(LINES, orders=2)}
    assert found == {
        ("SubmitOrder", "PutItem", "orders"): 0.5,
        ("SubmitOrder", "SendMessage", "order queue"): 1.0,
        ("ExecuteOrder", "BatchGetItem", "chain"): 0.5,
        ("WsNotify", "Query", "orders"): 0.5,
        ("WsNotify", "PostToConnection", "sockets"): 0.5,
    }


def test_what_a_function_uses_is_the_sdks_the_counters_and_its_own() -> None:
    lines = [line for line in LINES if line["function"] == "SubmitOrder"]
    result = function(lines, cpu=0.030, memory=50_000_000, orders=2)
    assert result["sdkCpuMs"] == pytest.approx(3.0)
    assert result["counterCpuMs"] == pytest.approx(0.75)
    assert result["ownCpuMs"] == pytest.approx(10 - 3.0 - 0.75)
    assert result["cpuMs"] == pytest.approx(15 - 0.75)


def test_every_function_that_an_order_meets_is_in_the_template() -> None:
    assert set(FUNCTIONS) <= read(TEMPLATE)["Resources"].keys()


def told(status: str, at: float) -> tuple[float, Line]:
    """A frame that comes 10 ms after its status was written."""
    return at + 0.01, {"status": status, "timestamp": f"1970-01-01T00:00:{at:06.3f}Z"}


STORY = [told("pending", 1.02), told("routing", 1.05), told("building", 1.26), told("confirmed", 4.015)]
ORDER = Seen(1.0, 1.03, "order", STORY)
DELAYS = Delays(quotes=0.2, sent_at=1.3, landed_at=3.7, slot_wait=0.3)


def test_the_steps_of_an_order_are_all_of_its_time_but_the_delays() -> None:
    steps = {step.name: step.seconds for step in steps_of(ORDER, DELAYS, [])}
    wanted = [("accept", 0.02), ("wait for a worker", 0.03), ("claim, quote", 0.01), ("write ahead, send", 0.04)]
    assert steps == pytest.approx(dict([*wanted, ("look up", 0.015), ("push", 0.01)]))
    assert sum(steps.values()) == pytest.approx(3.025 - 0.2 - 2.4 - 0.3)


def test_with_what_was_counted_the_same_time_is_split_by_who_took_it() -> None:
    lines = [
        {"kind": "invocation", "function": "SubmitOrder", "at": 1.01},
        {"kind": "call", "function": "SubmitOrder", "operation": "SendMessage", "at": 1.025},
        {"kind": "invocation", "function": "ExecuteOrder", "at": 1.04},
        {"kind": "call", "function": "ExecuteOrder", "operation": "SendMessage", "at": 1.30},
        {"kind": "call", "function": "ExecuteOrder", "operation": "SendMessage", "at": 4.018},
        {"kind": "invocation", "function": "WsNotify", "at": 1.06},
        {"kind": "call", "function": "WsNotify", "operation": "PostToConnection", "at": 1.07},
        {"kind": "invocation", "function": "WsNotify", "at": 4.020},
        {"kind": "call", "function": "WsNotify", "operation": "PostToConnection", "at": 4.023},
        {"kind": "invocation", "function": "WsNotify", "at": 9.0},
    ]
    steps = steps_of(ORDER, DELAYS, lines)
    assert [(step.who, round(step.seconds, 6)) for step in steps] == [
        ("HTTP API", 0.01),
        ("submit_order", 0.015),
        ("order queue", 0.015),
        ("execute_order", 0.02),
        ("execute_order", 0.04),
        ("execute_order", 0.015),
        ("execute_order", 0.003),
        ("status queue", 0.002),
        ("ws_notify", 0.003),
        ("WebSocket API", 0.002),
    ]
    assert sum(step.seconds for step in steps) == pytest.approx(3.025 - 0.2 - 2.4 - 0.3)


OUTSIDE = "run (/tmp/_worker.py:1);handler (/tmp/code/app.py:17);run (/usr/lib/python3.11/asyncio/runners.py:86)"
ADAPTER = "save (/tmp/layer_0/python/order_engine/adapters/dynamodb.py:66)"
SDK = "call (/app/.venv/lib/python3.11/site-packages/botocore/client.py:9)"
WEB = "app (/app/.venv/lib/python3.11/site-packages/starlette/routing.py:5)"
JSON = "loads (/usr/lib/python3.11/json/__init__.py:1)"


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        ([OUTSIDE], "event loop and threads"),
        ([OUTSIDE, ADAPTER], "order_engine"),
        ([OUTSIDE, ADAPTER, JSON], "order_engine"),
        ([OUTSIDE, ADAPTER, SDK, JSON], "calls of the AWS SDK"),
        ([OUTSIDE, WEB], "FastAPI, Mangum, pydantic"),
        ([JSON], "other"),
    ],
)
def test_a_sample_counts_for_the_innermost_part_and_a_call_of_the_sdk_for_the_sdk(frames: list[str], part: str) -> None:
    assert parts_of([f"{';'.join(frames)} 3"]) == {part: 3}
