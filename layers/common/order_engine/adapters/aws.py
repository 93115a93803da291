"""One way to make an AWS client and one way to call it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from order_engine.domain.errors import Unavailable

logger = logging.getLogger(__name__)

# A call that hangs is given up after about four seconds: there must be time left to say so.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=50,
    # Botocore's own is put together anew for every call, which is a sixth of the processor time that a call takes.
    user_agent="order-engine",
)

_ANSWERS = frozenset({"BadRequestException", "ConditionalCheckFailedException", "GoneException", "ValidationException"})
"""Errors that say something about the request. All others say that the service did not look at it."""


def client(service: str, *, endpoint_url: str | None = None) -> Any:
    """A client to make once, at init. Region, credentials and `AWS_ENDPOINT_URL` come from the environment."""
    made = boto3.client(service, config=_CONFIG, endpoint_url=endpoint_url)  # type: ignore[call-overload]
    made.meta.events.register("before-parse", _refuse_half_an_answer)
    return made


async def call(dependency: str, operation: Callable[..., Any], **parameters: Any) -> Any:
    """The answer of a boto3 operation, awaited off the event loop.

    Raises `Unavailable` where the service is away, throttles, refuses this function, or its answer got lost. Any other
    `ClientError` is an answer, and the caller's to understand.
    """
    try:
        return await asyncio.to_thread(operation, **parameters)
    except ClientError as error:
        if error_code(error) in _ANSWERS:
            raise
        logger.warning("call refused", extra={"dependency": dependency, "error": str(error)})
        raise Unavailable(dependency) from error
    except (ConnectionError, HTTPClientError) as error:
        logger.warning("call unanswered", extra={"dependency": dependency, "error": str(error)})
        raise Unavailable(dependency) from error


def error_code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _refuse_half_an_answer(response_dict: dict[str, Any], **_: object) -> None:
    """An answer cut off within its head passes for an empty one, and so for "there is no such item".

    A whole one says where its body ends, even when that is at once, as HTTP/1.1 wants it.
    """
    has_end = {"content-length", "transfer-encoding"} & {name.lower() for name in response_dict["headers"]}
    if not has_end and not response_dict["body"]:
        raise HTTPClientError(error="the answer ends within its head")
