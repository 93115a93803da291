"""Structured logs: one JSON object a line, the same fields in every function."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Level, place, message, time and service, then the `extra` fields, then the exception if there is one."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "level": record.levelname,
            "location": f"{record.module}.{record.funcName}:{record.lineno}",
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": self._service,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if record.exc_info and record.exc_info[0]:
            line |= {
                "exception_name": record.exc_info[0].__name__,
                "exception": self.formatException(record.exc_info),
            }
        return json.dumps(line, separators=(",", ":"), ensure_ascii=False, default=str)


def configure_logging(variables: Mapping[str, str]) -> logging.Logger:
    """The engine's root logger. Every module of the engine logs below it; `extra` fields become JSON fields."""
    logger = logging.getLogger("order_engine")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines(variables.get("SERVICE_NAME", "order-engine")))
        logger.addHandler(handler)
    logger.setLevel(variables.get("LOG_LEVEL", "INFO"))
    # Lambda's own handler on the root logger would print every line a second time.
    logger.propagate = False
    return logger
