"""Nonsense over real HTTP and a real WebSocket: refused by its field, never a 500, and nothing is left of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx

from local.stack import Stack
from tests.e2e.clients import SELL_SOL, Client, Json, run
from tests.functions.test_submit_order import BAD_ORDERS, BAD_QUERIES, but, number
from tests.unit.test_frames import BAD_FRAMES

# Two are nonsense at the time that stands still in the fast tests. Bytes that are no text never reach the function
# as they are: ministack 1.5.33 replaces them on the way.
ELSEWHERE = {"expired already", "expiring in a year", "not UTF-8"}
BAD_HERE = {name: case for name, case in BAD_ORDERS.items() if name not in ELSEWHERE}


# What other engines accept and execute, or answer with a 500; and what the refusal has to name.
NO_NUMBERS = ["NaN", "Infinity"]
ODD_AMOUNTS = ["1e400", "1e308", "1e-30", "-1", "0", '""', '"one"', "true", "[1]", '{"value": 1}']
ODD_FIELDS: list[Json] = [
    {"tokenIn": ""},
    {"tokenIn": "S" * 10_000},
    {"tokenIn": "SOL\0"},
    {"tokenIn": "DOGE"},
    {"tokenIn": None},
    {"tokenIn": {"symbol": "SOL"}},
    {"tokenOut": "SOL"},
    {"type": "limit"},
    {"limitPrice": 100},
    {"slippageBps": -1},
    {"slippageBps": 100_000},
    {"slippageBps": "low"},
]
ODD_ORDERS: list[tuple[str, str]] = [
    *((number(amount), amount) for amount in NO_NUMBERS),
    *((number(amount), "amount") for amount in ODD_AMOUNTS),
    *((json.dumps(but(**field)), name) for field in ODD_FIELDS for name in field),
    *((body, "not valid JSON") for body in ("", "tokenIn=SOL", "{")),
    ("[]", "a JSON object"),
    (json.dumps({"order": SELL_SOL}), "order: is not known"),
]
ODD_READS = {
    "/api/orders?limit=-1": "limit",
    "/api/orders?cursor=abc": "cursor",
    "/api/orders?status=done": "status",
    "/api/orders/1": "order ids are UUIDs",
}


def orders_in_table(stack: Stack) -> int:
    answer = stack.client("dynamodb").scan(
        TableName=stack.outputs["OrdersTableName"],
        FilterExpression="sk = :order",
        ExpressionAttributeValues={":order": {"S": "ORDER"}},
        Select="COUNT",
    )
    return int(answer["Count"])


def assert_refused(response: httpx.Response, status: int, pointer: str, name: str) -> None:
    assert response.status_code == status, f"{name}: {response.status_code} {response.text}"
    assert response.headers["content-type"] == "application/problem+json", name
    problem = response.json()
    assert problem["status"] == status, name
    assert pointer in [error["pointer"] for error in problem["errors"]], f"{name}: {problem}"


def test_of_34_odd_requests_none_is_accepted_none_breaks_anything_and_each_is_told_why(
    stack: Stack, report: Callable[[str], None]
) -> None:
    before = orders_in_table(stack)

    async def scenario(client: Client) -> list[tuple[httpx.Response, str]]:
        def post(body: str, media_type: str = "application/json") -> Awaitable[httpx.Response]:
            return client.http.post("/api/orders", content=body, headers={"Content-Type": media_type})

        asked = [(post(body), named) for body, named in ODD_ORDERS]
        asked += [(client.http.get(path), named) for path, named in ODD_READS.items()]
        asked.append((post(json.dumps(SELL_SOL), "text/plain"), "application/json"))
        return [(await request, named) for request, named in asked]

    answers = run(stack, scenario)
    accepted = [answer for answer, _ in answers if not answer.is_error]
    broken = [answer for answer, _ in answers if answer.is_server_error]
    report(f"of {len(answers)} odd requests, {len(accepted)} accepted, {len(broken)} answered with a 5xx")
    assert (len(answers), accepted, broken) == (34, [], [])
    for answer, named in answers:
        assert named in answer.json()["detail"], f"{answer.request.content!r}: {answer.text}"
    assert orders_in_table(stack) == before


def test_bad_orders_are_refused_by_their_field_and_leave_nothing(stack: Stack) -> None:
    before = orders_in_table(stack)

    async def scenario(client: Client) -> None:
        for name, (body, status, pointer) in BAD_HERE.items():
            content = body if isinstance(body, str | bytes) else json.dumps(body)
            headers = {"Content-Type": "application/json"}
            response = await client.http.post("/api/orders", content=content, headers=headers)
            assert_refused(response, status, pointer, name)

    run(stack, scenario)
    assert len(BAD_HERE) > 30
    assert orders_in_table(stack) == before


def test_bad_queries_are_refused_by_their_parameter(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        for query, (status, pointer) in BAD_QUERIES.items():
            # API Gateway passes a repeated parameter on as one, joined by a comma: both are nonsense alike.
            response = await client.http.get(f"/api/orders?{query}")
            if len(parse_qsl(query)) == 2:
                assert response.status_code in {400, 422}, query
            else:
                assert_refused(response, status, pointer, query)

    run(stack, scenario)


def test_what_is_not_there_and_what_is_not_allowed_is_a_problem_too(stack: Stack) -> None:
    async def scenario(client: Client) -> dict[str, tuple[int, str]]:
        asked = {
            "unknown order": client.http.get("/api/orders/5f1b0e3c-0000-4000-8000-00000000000a"),
            "no uuid": client.http.get("/api/orders/1"),
            "unknown path": client.http.get("/api/nothing"),
            "wrong method": client.http.put("/api/orders", json={}),
            "not JSON": client.http.post("/api/orders", content="a=b"),
            "too large": client.http.post("/api/orders", json={"amount": "1" * 20_000}),
            "bad key": client.http.post("/api/orders", json={}, headers={"Idempotency-Key": "a b"}),
        }
        return {name: describe(await request) for name, request in asked.items()}

    def describe(response: httpx.Response) -> tuple[int, str]:
        return response.status_code, response.json()["code"]

    assert run(stack, scenario) == {
        "unknown order": (404, "ORDER_NOT_FOUND"),
        "no uuid": (404, "ORDER_NOT_FOUND"),
        "unknown path": (404, "NOT_FOUND"),
        "wrong method": (405, "METHOD_NOT_ALLOWED"),
        "not JSON": (415, "UNSUPPORTED_MEDIA_TYPE"),
        "too large": (413, "BODY_TOO_LARGE"),
        "bad key": (422, "VALIDATION_FAILED"),
    }


def test_bad_frames_are_answered_by_their_field_and_the_connection_stays(stack: Stack) -> None:
    before = orders_in_table(stack)

    async def scenario(client: Client) -> None:
        async with client.watch() as watch:
            for text, pointer in BAD_FRAMES:
                await watch.say(text)
                frame = await watch.answer()
                assert frame["type"] == "error", text
                assert pointer in [error["pointer"] for error in frame["errors"]], f"{text}: {frame}"
            for frame_text, code in (("x" * 20_000, "BODY_TOO_LARGE"), (b"\x00\xff", "VALIDATION_FAILED")):
                await watch.say(frame_text)
                assert (await watch.answer())["code"] in {code, "MALFORMED_JSON"}
            await watch.say({"action": "subscribe", "orderId": "5f1b0e3c-0000-4000-8000-00000000000a"})
            assert (await watch.answer())["code"] == "ORDER_NOT_FOUND"
            await watch.say({"action": "ping"})
            assert (await watch.answer())["type"] == "pong"

    run(stack, scenario)
    assert orders_in_table(stack) == before


def test_connecting_with_nonsense_is_answered_by_a_first_frame(stack: Stack) -> None:
    async def first_frame(client: Client, parameters: dict[str, Any]) -> Json:
        async with client.watch(**parameters) as watch:
            return await watch.next()

    async def scenario(client: Client) -> list[Json]:
        wishes: list[dict[str, Any]] = [
            {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "-1"},
            {"orderId": "1"},
            {"orderId": "5f1b0e3c-0000-4000-8000-00000000000a"},
            {"userId": "x" * 200},
            {"token": "abc"},
        ]
        return await asyncio.gather(*(first_frame(client, wish) for wish in wishes))

    frames = run(stack, scenario)
    assert [frame["type"] for frame in frames] == ["error"] * 5
    for frame, named in zip(frames, ("amount", "orderId", "No live order", "userId", "token"), strict=True):
        assert named in frame["message"]
