"""Structured logs: one JSON object a line, the same fields in every function."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TextIO


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes in Powertools' format, which is loaded for the first line: many a worker never has one to write."""

    def __init__(self, service: str) -> None:
        super().__init__(sys.stdout)
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter  # noqa: PLC0415

            self.formatter = LambdaPowertoolsFormatter(service=self._service)
        return super().format(record)


def configure_logging(variables: Mapping[str, str]) -> logging.Logger:
    """The engine's root logger. Every module of the engine logs below it; `extra` fields become JSON fields."""
    logger = logging.getLogger("order_engine")
    if not logger.handlers:
        logger.addHandler(JsonHandler(variables.get("POWERTOOLS_SERVICE_NAME", "order_engine")))
    logger.setLevel(variables.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    # Lambda's own handler on the root logger would print every line a second time.
    logger.propagate = False
    return logger
