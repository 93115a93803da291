"""Structured logs: one JSON object a line, the same fields in every function."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TextIO

_about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes in Powertools' format, which is loaded for the first line: many a worker never has one to write.

    Every line has the trace id of its invocation, and what `log_about` has noted.
    """

    def __init__(self, service: str) -> None:
        super().__init__(sys.stdout)
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter  # noqa: PLC0415

            self.formatter = LambdaPowertoolsFormatter(service=self._service)
        for name, fact in _about.get().items():
            # What the line says itself comes first.
            record.__dict__.setdefault(name, fact)
        return super().format(record)


def configure_logging(variables: Mapping[str, str]) -> logging.Logger:
    """The engine's root logger. Every module of the engine logs below it; `extra` fields become JSON fields."""
    logger = logging.getLogger("order_engine")
    if not logger.handlers:
        logger.addHandler(JsonHandler(service_name(variables)))
    logger.setLevel(variables.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    # Lambda's own handler on the root logger would print every line a second time.
    logger.propagate = False
    return logger


def service_name(variables: Mapping[str, str]) -> str:
    """The stack's, in logs and metrics."""
    return variables.get("POWERTOOLS_SERVICE_NAME", "order_engine")


def log_about(**facts: object) -> None:
    """Have these fields, and none that were noted before, on every further line of this task and what it starts.

    So the lines of adapters, which know nothing of orders, can be found by the order's id as well.
    """
    _about.set(facts)


def noted() -> Mapping[str, object]:
    """What every line of this task is about by now."""
    return _about.get()


def log_also_about(**facts: object) -> None:
    """As `log_about`, beside what was noted before."""
    _about.set({**_about.get(), **facts})
