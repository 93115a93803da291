"""One way to make an AWS client and one way to call it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from order_engine.domain.errors import Unavailable

# A hung call must not eat the invocation: three tries of at most a few seconds each.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=50,
)

_AWAY = frozenset(
    {
        "InternalServerError",
        "InternalServerException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def client(service: str, *, endpoint_url: str | None = None) -> Any:
    """A client to make once, at init. Region, credentials and `AWS_ENDPOINT_URL` come from the environment."""
    return boto3.client(service, config=_CONFIG, endpoint_url=endpoint_url)  # type: ignore[call-overload]


async def call(dependency: str, operation: Callable[..., Any], **parameters: Any) -> Any:
    """The answer of a boto3 operation, awaited off the event loop.

    Raises `Unavailable` where the service is away, throttles, or its answer got lost. Any other `ClientError` is an
    answer, and the caller's to understand.
    """
    try:
        return await asyncio.to_thread(operation, **parameters)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if error.response["Error"]["Code"] in _AWAY or status >= 500:
            raise Unavailable(dependency) from error
        raise
    except (ConnectionError, HTTPClientError) as error:
        raise Unavailable(dependency) from error


def error_code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
