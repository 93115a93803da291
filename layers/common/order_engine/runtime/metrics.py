"""Metrics as lines of log: CloudWatch makes metrics of what is printed in its embedded metric format.

That takes no call, no permission and no waiting, and is paid by the byte: an invocation writes one line, whatever the
number of its orders, and one more for each reason by which orders failed in it.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from order_engine.runtime.telemetry import service_name
from order_engine.service.ports import Metric

NAMESPACE = "OrderEngine"
SERVICE = "service"
"""The dimension of every metric. The service is the stack, so that two stacks in one account do not mix."""
ERROR_CODE = "errorCode"
"""A second one, of failed orders, which are counted with and without it."""

MEASURED = {
    Metric.ORDER_ATTEMPTS: "Count",
    Metric.TIME_TO_CONFIRM: "Milliseconds",
    Metric.QUEUE_DELAY: "Milliseconds",
    Metric.PRICE_IMPROVEMENT: "None",
    Metric.OLDEST_LIVE_ORDER_AGE: "Seconds",
}
"""Unit by metric. All others are counted: of them only the sum is written."""

logger = logging.getLogger(__name__)


class EmfMetrics:
    """What one invocation has to report, written at its end. A worker that is killed reports nothing."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._values: dict[str | None, dict[Metric, list[float]]] = {}

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> EmfMetrics:
        return cls(service_name(variables))

    def add(self, metric: Metric, value: float = 1, *, error_code: str | None = None) -> None:
        values = self._values.setdefault(error_code, {}).setdefault(metric, [])
        if values and metric not in MEASURED:
            values[0] += value
        else:
            values.append(value)

    @contextmanager
    def invocation(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._write()

    def _write(self) -> None:
        groups, self._values = self._values, {}
        try:
            for error_code, values in groups.items():
                print(_line(self._service, error_code, values), flush=True)  # noqa: T201 (a log line, and not a record)
        except Exception:  # the outermost edge: what could not be reported has been done all the same
            logger.exception("metrics not written")


def measured(handler: Callable[[Any, Any], Any], metrics: EmfMetrics) -> Callable[[Any, Any], Any]:
    """The Lambda handler that reports what its invocations have added."""

    def handle(event: Any, context: Any) -> Any:
        with metrics.invocation():
            return handler(event, context)

    return handle


def _line(service: str, error_code: str | None, metrics: Mapping[Metric, Sequence[float]]) -> str:
    # Loaded for the first line, as Powertools' log format is: it takes some ms that nobody should wait for at init.
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (  # noqa: PLC0415
        AmazonCloudWatchEMFProvider,
    )

    # One a line, since a provider has one set of dimensions. It would add an empty service to them as one more.
    provider = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service="", default_dimensions={SERVICE: service})
    for metric, values in metrics.items():
        for value in values:
            provider.add_metric(metric.value, MEASURED.get(metric, "Count"), value)
    if error_code is not None:
        provider.add_dimensions(**{ERROR_CODE: error_code})
    return json.dumps(provider.serialize_metric_set(), separators=(",", ":"))
