"""Lines of log as CloudWatch reads them: metrics in its embedded format, and everything else by id."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from order_engine.domain.errors import ErrorCode
from order_engine.runtime.metrics import MEASURED, NAMESPACE, EmfMetrics, measured
from order_engine.runtime.telemetry import JsonHandler, log_about, log_also_about
from order_engine.service.ports import Metric

Line = dict[str, Any]


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[Line]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def extracted(line: Line) -> list[tuple[str, str, dict[str, str], list[float]]]:
    """As the format's specification says: namespace, name, dimensions and values of each metric of a line."""
    return [
        (each["Namespace"], metric["Name"], {name: line[name] for name in dimensions}, line[metric["Name"]])
        for each in line["_aws"]["CloudWatchMetrics"]
        for dimensions in each["Dimensions"]
        for metric in each["Metrics"]
    ]


def test_the_orders_of_an_invocation_are_one_line_with_the_sums_of_counts_and_all_that_was_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = EmfMetrics("stack")
    with metrics.invocation():
        for milliseconds in (2_400, 3_100):
            metrics.add(Metric.ORDERS_CONFIRMED)
            metrics.add(Metric.TIME_TO_CONFIRM, milliseconds)
        assert lines_of(capsys) == []
    (line,) = lines_of(capsys)
    stack = {"service": "stack"}
    assert extracted(line) == [
        (NAMESPACE, "OrdersConfirmed", stack, [2]),
        (NAMESPACE, "TimeToConfirm", stack, [2_400, 3_100]),
    ]
    units = {metric["Name"]: metric["Unit"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {"OrdersConfirmed": "Count", "TimeToConfirm": "Milliseconds"}


def test_failures_are_written_in_all_and_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = EmfMetrics("stack")
    with metrics.invocation():
        metrics.add(Metric.ORDERS_FAILED, error_code=ErrorCode.NO_ROUTE_FOUND)
        metrics.add(Metric.ORDERS_FAILED, error_code=ErrorCode.ATTEMPTS_EXHAUSTED)
    assert [each for line in lines_of(capsys) for each in extracted(line)] == [
        (NAMESPACE, "OrdersFailed", {"service": "stack"}, [1]),
        (NAMESPACE, "OrdersFailed", {"service": "stack", "errorCode": "NO_ROUTE_FOUND"}, [1]),
        (NAMESPACE, "OrdersFailed", {"service": "stack"}, [1]),
        (NAMESPACE, "OrdersFailed", {"service": "stack", "errorCode": "ATTEMPTS_EXHAUSTED"}, [1]),
    ]


def test_an_invocation_with_nothing_to_report_writes_nothing_and_none_reports_anothers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = EmfMetrics("stack")
    with metrics.invocation():
        metrics.add(Metric.ORDERS_ACCEPTED)
    lines_of(capsys)
    with metrics.invocation():
        pass
    assert lines_of(capsys) == []


def test_an_invocation_that_fails_reports_what_it_has_done(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = EmfMetrics("stack")

    def handler(_event: object, _context: object) -> None:
        metrics.add(Metric.ORDERS_ACCEPTED)
        raise LookupError

    with pytest.raises(LookupError):
        measured(handler, metrics)({}, None)
    assert [name for line in lines_of(capsys) for _, name, _, _ in extracted(line)] == ["OrdersAccepted"]


def test_metrics_that_cannot_be_written_fail_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = EmfMetrics("stack")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stdout", closed)
    with metrics.invocation():
        metrics.add(Metric.ORDERS_ACCEPTED)


@pytest.mark.parametrize("metric", Metric)
def test_every_metric_can_be_written_with_a_unit_that_cloudwatch_knows(
    metric: Metric, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = EmfMetrics("stack")
    with metrics.invocation():
        metrics.add(metric, 0.5)
    assert extracted(*lines_of(capsys)) == [(NAMESPACE, metric.value, {"service": "stack"}, [0.5])]
    assert MEASURED.keys() <= set(Metric)


@dataclass
class Log:
    """A logger below nobody, and the lines that it has written."""

    stream: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        handler = JsonHandler("stack")
        handler.setStream(self.stream)
        self.logger = logging.Logger("log of a test")
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_lines_of_a_task_and_its_threads_say_what_they_are_about_and_no_others_do() -> None:
    log = Log()

    async def work(message_id: str) -> None:
        log_about(message_id=message_id)
        log_also_about(order_id=f"order of {message_id}")
        await asyncio.to_thread(log.logger.warning, "call refused")

    async def batch() -> None:
        await asyncio.gather(work("first"), work("second"))
        log.logger.warning("batch done")

    asyncio.run(batch())
    told = [(line["message"], line.get("message_id"), line.get("order_id")) for line in log.lines]
    assert sorted(told[:2]) == [
        ("call refused", "first", "order of first"),
        ("call refused", "second", "order of second"),
    ]
    assert told[2:] == [("batch done", None, None)]


def test_what_is_noted_for_one_invocation_is_forgotten_in_the_next() -> None:
    log = Log()

    async def invocation(number: int, **more: str) -> None:
        log_about(request_id=f"request-{number}")
        log_also_about(**more)
        log.logger.warning("request failed")

    # As functions run: all invocations of a process in one context.
    with asyncio.Runner() as runner:
        runner.run(invocation(1, order_id="order"))
        runner.run(invocation(2))
    assert [(line["request_id"], line.get("order_id")) for line in log.lines] == [
        ("request-1", "order"),
        ("request-2", None),
    ]


def test_what_a_line_says_itself_comes_first() -> None:
    log = Log()

    async def invocation() -> None:
        log_about(order_id="noted", request_id="request")
        log.logger.warning("order accepted", extra={"order_id": "own"})

    asyncio.run(invocation())
    assert [(line["order_id"], line["request_id"]) for line in log.lines] == [("own", "request")]


def test_every_line_has_the_trace_id_of_its_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    for number in (1, 2):
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root=1-5f84c7a1-{number};Parent=53995c3f42cd8ad8;Sampled=0")
        log.logger.warning("order accepted")
    assert [line["xray_trace_id"] for line in log.lines] == ["1-5f84c7a1-1", "1-5f84c7a1-2"]
