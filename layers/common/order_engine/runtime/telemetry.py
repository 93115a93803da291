"""Structured logs: one JSON object a line, the same fields in every function."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter


def configure_logging(variables: Mapping[str, str]) -> logging.Logger:
    """The engine's root logger. Every module of the engine logs below it; `extra` fields become JSON fields."""
    logger = logging.getLogger("order_engine")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(
            LambdaPowertoolsFormatter(service=variables.get("POWERTOOLS_SERVICE_NAME", "order_engine"))
        )
        logger.addHandler(handler)
    logger.setLevel(variables.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    # Lambda's own handler on the root logger would print every line a second time.
    logger.propagate = False
    return logger
