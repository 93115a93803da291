"""Which errors of AWS are answers, and which mean that it is away."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from order_engine.adapters.aws import call
from order_engine.domain.errors import Unavailable


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "Operation")


def raised(error: Exception) -> Any:
    def operation() -> NoReturn:
        raise error

    return operation


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("InternalServerError"),
        refusal("AccessDeniedException"),
        refusal("AWS.SimpleQueueService.NonExistentQueue"),
        EndpointConnectionError(endpoint_url="http://localhost"),
        ConnectTimeoutError(endpoint_url="http://localhost"),
        ReadTimeoutError(endpoint_url="http://localhost"),
    ],
    ids=lambda error: error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__,
)
def test_a_service_that_did_not_look_at_the_request_is_away(error: Exception) -> None:
    with pytest.raises(Unavailable, match="SQS is unavailable"):
        asyncio.run(call("SQS", raised(error)))


@pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "GoneException", "ValidationException"])
def test_a_refused_condition_is_an_answer(code: str) -> None:
    with pytest.raises(ClientError):
        asyncio.run(call("DynamoDB", raised(refusal(code))))
