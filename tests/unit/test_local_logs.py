"""The functions' logs as a person follows them."""

from __future__ import annotations

import pytest

from local.logs import brief
from order_engine.runtime.metrics import EmfMetrics
from order_engine.service.ports import Metric


def test_a_line_of_metrics_is_shown_by_their_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = EmfMetrics("stack")
    with metrics.invocation():
        metrics.add(Metric.ORDERS_CONFIRMED)
        metrics.add(Metric.TIME_TO_CONFIRM, 2_421)
        metrics.add(Metric.TIME_TO_CONFIRM, 3_100)
        metrics.add(Metric.ORDERS_FAILED, error_code="NO_ROUTE_FOUND")
    written = capsys.readouterr().out.splitlines()
    assert [brief(line) for line in written] == [
        "metrics: OrdersConfirmed 1, TimeToConfirm 2421 3100",
        "metrics: OrdersFailed 1 (NO_ROUTE_FOUND)",
    ]


def test_any_other_line_is_shown_as_it_is() -> None:
    for line in ('{"level":"INFO","message":"order accepted"}', "START RequestId: 7 Version: 1"):
        assert brief(line) == line
