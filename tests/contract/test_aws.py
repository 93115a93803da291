"""Which errors of AWS are answers, and which mean that it is away."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from order_engine.adapters.aws import call, client
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


@pytest.mark.usefixtures("aws_credentials")
@pytest.mark.parametrize(
    "half", [b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"], ids=["head", "body"]
)
def test_half_an_answer_is_none_however_much_it_looks_like_no_such_item(half: bytes) -> None:
    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(half)
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            dynamodb = client("dynamodb", endpoint_url=f"http://127.0.0.1:{port}")
            await call("DynamoDB", dynamodb.get_item, TableName="orders", Key={"pk": {"S": "ORDER#1"}})

    with pytest.raises(Unavailable):
        asyncio.run(scenario())
