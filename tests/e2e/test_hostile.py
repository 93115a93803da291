"""Whoever means harm: whatever they send is stored and returned exactly, or refused; never executed, never a 5xx."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method
from typer.testing import CliRunner

from local.stack import Stack
from order_client.cli.app import app
from order_engine.adapters import items
from order_engine.contracts.exact_json import MAX_BODY_BYTES
from order_engine.service.accept_order import PUBLIC, order_id_under
from order_engine.service.follow_orders import MAX_SUBSCRIPTIONS
from tests.builders import a_confirmed_order
from tests.contract.test_queues import NO_MESSAGES, NO_ORDER_MESSAGES, NO_STATUS_MESSAGES
from tests.e2e.clients import HAPPY_PATH, SELL_SOL, Client, Json, Watch, run
from tests.e2e.commands import beside
from tests.e2e.polling import poll
from tests.e2e.stacks import running_stack
from tests.functions.api import openapi_document

PARAMETERS = {"QuoteDelayMs": "0", "LandingMinMs": "0", "LandingMaxMs": "0", "RevertRate": "0"}

JSON_TYPES = {"application/json", "application/problem+json"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack("hostile", PARAMETERS) as running:
        yield running


# HTTP, by its own document


DOCUMENT = openapi_document()


def test_the_api_gives_out_its_document(stack: Stack) -> None:
    assert httpx.get(f"{stack.endpoints.http}/openapi.json").json() == DOCUMENT


@schemathesis.openapi.from_dict(DOCUMENT).parametrize()
@seed(3)
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_the_api_answers_as_its_document_says(stack: Stack, case: Any) -> None:
    # Not every rule fits into a schema: two different tokens, a cursor that was given out.
    left_out: list[Any] = [positive_data_acceptance]
    if case.path == "/api/orders/execute":
        # Under other methods it is /api/orders/{orderId}, and "execute" no order's id.
        left_out.append(unsupported_method)
    case.call_and_validate(base_url=stack.endpoints.http, excluded_checks=left_out)


# HTTP, beside its document

BODY = json.dumps(SELL_SOL).encode()
JSON = ("Content-Type", "application/json")

TRICKS: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {
    "two content types": (415, [JSON, ("Content-Type", "text/html")], BODY),
    "JSON behind another type": (415, [("Content-Type", "text/plain, application/json")], BODY),
    "no content type": (415, [], BODY),
    "no type at all": (415, [("Content-Type", "")], BODY),
    "type in capitals": (202, [("Content-Type", "APPLICATION/JSON;CHARSET=UTF-8")], BODY),
    "another charset": (202, [("Content-Type", "application/json; charset=utf-16")], BODY),
    "nonsense behind the type": (202, [("Content-Type", "application/json;;=;\x22")], BODY),
    "multipart": (415, [("Content-Type", "multipart/form-data; boundary=x")], b"--x\r\n\r\n--x--"),
    "said to be gzip": (202, [JSON, ("Content-Encoding", "gzip")], BODY),
    "really gzip": (400, [JSON, ("Content-Encoding", "gzip")], gzip.compress(BODY)),
    "a bomb": (400, [JSON, ("Content-Encoding", "gzip")], gzip.compress(b" " * 10_000_000)),
    "forwarded": (
        202,
        [JSON, *((f"X-Forwarded-{name}", "evil.example, '\x22><script>") for name in ("Host", "Proto", "For", "Port"))],
        BODY,
    ),
    "another method": (202, [JSON, ("X-HTTP-Method-Override", "DELETE"), ("X-Method-Override", "GET")], BODY),
    "a long header": (202, [JSON, ("X-Long", "x" * 7_000)], BODY),
    "many headers": (202, [JSON, *((f"X-{number}", "x") for number in range(90))], BODY),
    "cookies": (202, [JSON, ("Cookie", "a=b; c='; DROP TABLE orders"), ("Authorization", "Bearer nonsense")], BODY),
    "a key of bytes": (422, [JSON, ("Idempotency-Key", "ÿþ")], BODY),
    "a key too long": (422, [JSON, ("Idempotency-Key", "k" * 256)], BODY),
    "an empty key": (422, [JSON, ("Idempotency-Key", "")], BODY),
    "a key with blanks": (422, [JSON, ("Idempotency-Key", "a b")], BODY),
    "two keys": (422, [JSON, ("Idempotency-Key", "'one'--"), ("Idempotency-Key", "two")], BODY),
    "a key of SQL": (202, [JSON, ("Idempotency-Key", "';DROP/**/TABLE/**/orders;--")], BODY),
    "an empty body": (400, [JSON], b""),
    "a body too large": (413, [JSON], b'{"amount":"' + b"1" * MAX_BODY_BYTES + b'"}'),
    "a body far too large": (413, [JSON], b" " * 2_000_000 + BODY),
    "nested too deeply": (400, [JSON], b"[" * 16_000),
    "nested in an order": (422, [JSON], b'{"tokenIn":' + b'{"a":' * 100 + b"1" + b"}" * 101),
    "a number without end": (422, [JSON], b'{"tokenIn":"SOL","tokenOut":"USDC","amount":' + b"9" * 15_000 + b"}"),
    "a number beyond all": (422, [JSON], b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1e999999999999999999999}'),
    "operators for strings": (422, [JSON], json.dumps(SELL_SOL | {"userId": {"$ne": None}}).encode()),
    "attribute values for strings": (422, [JSON], json.dumps(SELL_SOL | {"userId": {"S": "public"}}).encode()),
    "a prototype": (422, [JSON], json.dumps(SELL_SOL | {"__proto__": {"status": "confirmed"}}).encode()),
    "fields of ours": (422, [JSON], json.dumps(SELL_SOL | {"status": "confirmed", "fence": 9}).encode()),
}


def test_tricks_with_headers_and_bodies_are_refused_or_change_nothing(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        for name, (status, headers, body) in TRICKS.items():
            sent = [(header.encode(), value.encode("latin-1")) for header, value in headers]
            response = await client.http.post("/api/orders", content=body, headers=sent)
            assert response.status_code == status, f"{name}: {response.status_code} {response.text[:300]}"
            assert response.headers["content-type"] in JSON_TYPES, name
            if status == 202:
                order = await client.order(response.json()["orderId"])
                assert {field: order[field] for field in SELL_SOL} == SELL_SOL, name

    run(stack, scenario)


def test_a_body_in_pieces_is_one_body(stack: Stack) -> None:
    async def pieces() -> Any:
        for byte in BODY:
            yield bytes([byte])

    async def scenario(client: Client) -> int:
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        return (await client.http.post("/api/orders", content=pieces(), headers=headers)).status_code

    assert run(stack, scenario) == 202


# Strings

STRINGS = [
    "'; DROP TABLE orders; --",
    "' OR '1'='1",
    "x' UNION SELECT payload FROM order_status_history --",
    '" OR ""="',
    "%s %(user_id)s {0} {user_id}",
    "%",
    "%%25%2527%00",
    "_",
    "\\",
    "#",
    "public#a#b",
    "USER#public",
    "LIVE#0",
    ":user = :user OR attribute_exists(pk)",
    '{"$gt": ""}',
    '{"S": "public"}',
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "$(id) `id` | id; id & id",
    "../../../etc/passwd",
    "a&userId=public&orderId=1",
    "a+b c?d=e;f",
    "NULL",
    "Ünïcødé",
    "日本語",
    "🚀🌕",
    "é",
    "e\u0301",
    "ﬁ",
    "x" * 128,
    "🚀" * 128,
]

NO_STRINGS = ["", "x" * 129, "a\nb", "a\x00b", "\u202etxt.exe", "\ufeff", "a\u2028b", "\x7f", "\ud800"]


def test_any_text_is_stored_found_and_sent_exactly_as_it_came(stack: Stack) -> None:
    """Over HTTP, in the table, in Postgres and over a socket; nobody meets anybody else's orders."""

    async def scenario(client: Client) -> None:
        ids = await asyncio.gather(*(submit(client, text) for text in STRINGS))
        assert len(set(ids)) == len(STRINGS)
        await asyncio.gather(*(client.recorded(order_id) for order_id in ids))
        await asyncio.gather(*(find(client, text, order_id) for text, order_id in zip(STRINGS, ids, strict=True)))

    run(stack, scenario)


async def find(client: Client, text: str, order_id: str) -> None:
    order = await client.order(order_id)
    assert (order["userId"], order["clientOrderId"], order["status"]) == (text, text, "confirmed")
    assert await submit(client, text) == order_id
    assert await listed(client, text) == [order_id], text
    async with client.watch(userId=text) as watch:
        another = str((await client.submit(**SELL_SOL, userId=text))["orderId"])
        await watch.end(another)
    assert {event["orderId"] for event in watch.events} == {another}, text
    assert watch.statuses() == HAPPY_PATH, text
    assert await listed(client, text) == [another, order_id], text


async def submit(client: Client, text: str) -> str:
    return str((await client.submit(**SELL_SOL, userId=text, clientOrderId=text))["orderId"])


async def listed(client: Client, user: str) -> list[str]:
    response = await client.http.get("/api/orders", params={"userId": user, "limit": 100})
    assert response.status_code == 200, response.text
    return [order["orderId"] for order in response.json()["orders"]]


def test_what_is_no_text_is_refused_by_its_field(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        for text in NO_STRINGS:
            for field in ("userId", "clientOrderId"):
                body = json.dumps(SELL_SOL | {field: text}).encode()
                response = await client.http.post("/api/orders", content=body, headers=dict([JSON]))
                assert response.status_code in {400, 422}, f"{field} {text!r}: {response.text}"
                assert response.json()["code"] in {"MALFORMED_JSON", "VALIDATION_FAILED"}
            if text.isascii():
                response = await client.http.get("/api/orders", params={"userId": text})
                assert response.status_code == 422, f"{text!r}: {response.text}"

    run(stack, scenario)


def test_no_text_means_anything_in_a_path_or_a_query(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        for text in STRINGS:
            for path in (f"/api/orders/{quote(text, safe='')}", f"/{quote(text, safe='')}"):
                response = await client.http.get(path)
                assert response.status_code == 404, f"{path}: {response.status_code} {response.text}"
                assert response.headers["content-type"] == "application/problem+json"
            for parameter, status in {"cursor": 400, "pair": 422, "status": 422, "from": 422, "limit": 422}.items():
                response = await client.http.get("/api/orders", params={parameter: text})
                assert response.status_code == status, f"{parameter}={text}: {response.text}"
                assert response.json()["errors"][0]["pointer"] == parameter
            response = await client.http.get("/api/orders", params={text: "1"})
            assert response.status_code == 422, f"{text}: {response.text}"

    run(stack, scenario)


# WebSocket

NAMES = st.sampled_from(["action", "order", "orderId", "after", "tokenIn", "tokenOut", "amount", "userId"]) | st.text()
ACTIONS = st.sampled_from(["subscribe", "unsubscribe", "submit", "execute", "connect", "$connect", "$default", "PING"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ACTIONS | st.uuids().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=12,
)
FRAMES: st.SearchStrategy[str | bytes] = (
    VALUES.map(json.dumps)
    | st.tuples(ACTIONS, st.dictionaries(NAMES, VALUES, max_size=4)).map(lambda f: json.dumps({"action": f[0]} | f[1]))
    | st.text()
    | st.binary()
)

MONSTERS: dict[str, str | bytes] = {
    "binary": bytes(range(256)),
    "binary that is a ping": b'{"action":"ping"}\xff',
    "over 16 KB": json.dumps({"action": "ping", "x": "x" * 17_000}),
    "over 16 KB of binary": b"\x00" * 17_000,
    "over 128 KB": "x" * 130_000,
    "over a megabyte": "[" * 1_100_000,
    "lists without end": "[" * 16_000,
    "objects without end": '{"action":' * 1_500,
    "an order without end": '{"action":"submit","order":' + '{"order":' * 1_200 + "1" + "}" * 1_201,
    "a number without end": '{"action":"subscribe","orderId":' + "9" * 15_000 + "}",
    "a thousand wrong fields": json.dumps({"action": "ping"} | {f"field{number}": 1 for number in range(1_000)}),
    "long wrong fields": json.dumps({"action": "ping"} | {f"{number}" + "x" * 1_000: 1 for number in range(15)}),
    "no text": '{"action":"\\ud800"}',
    "a name twice": '{"action":"ping","action":"submit"}',
}


def test_monstrous_frames_are_answered_with_an_error_and_the_connection_stays(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        async with client.watch() as watch:
            for name, frame in MONSTERS.items():
                await assert_refused(watch, frame, name)
            await assert_alive(watch)

    run(stack, scenario)


@seed(3)
@settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
@given(frames=st.lists(FRAMES, min_size=5, max_size=20))
def test_random_frames_are_answered_with_an_error_and_the_connection_stays(
    stack: Stack, frames: list[str | bytes]
) -> None:
    async def scenario(client: Client) -> None:
        async with client.watch() as watch:
            for frame in frames:
                await assert_refused(watch, frame, repr(frame))
            await assert_alive(watch)

    run(stack, scenario)


async def assert_refused(watch: Watch, frame: str | bytes, name: str) -> None:
    await watch.say(frame)
    answer = await watch.answer()
    if answer["type"] == "unsubscribed":
        return  # From an order that it never watched.
    assert answer["type"] == "error", f"{name}: {answer}"
    assert answer["code"] != "INTERNAL", f"{name}: {answer}"
    assert answer["message"], f"{name}: {answer}"
    assert len(json.dumps(answer)) < 30_000, name


async def assert_alive(watch: Watch) -> None:
    await watch.say({"action": "ping"})
    assert (await watch.answer())["type"] == "pong"


ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "4"))
"""Of two hundred frames each that are too many. A frame costs the emulator some twenty milliseconds."""


def test_a_flood_of_subscriptions_meets_a_limit_that_says_so_and_the_connection_stays(
    stack: Stack, report: Callable[[str], None]
) -> None:
    welcome, too_many = (put_settled_orders(stack, MAX_SUBSCRIPTIONS) for _ in range(2))

    async def scenario(client: Client) -> tuple[list[Json], Json]:
        async with client.watch() as watch:
            for ids in (welcome, *[too_many] * ROUNDS):
                for order_id in ids:
                    await watch.say({"action": "subscribe", "orderId": order_id, "after": 5})
                for _ in ids:
                    await watch.answer()
            await watch.say({"action": "ping"})
            return watch.answers[:], await watch.answer()

    answers, pong = run(stack, scenario)
    kinds = Counter(answer.get("code", answer["type"]) for answer in answers)
    report(str(dict(kinds)))
    # The emulator takes the frames of a connection one by one. AWS does not, and a burst may pass the limit somewhat.
    assert kinds == {"subscribed": MAX_SUBSCRIPTIONS, "TOO_MANY_SUBSCRIPTIONS": MAX_SUBSCRIPTIONS * ROUNDS}
    assert set(pong["sequences"]) == set(welcome)
    assert f"at most {MAX_SUBSCRIPTIONS} orders" in answers[-1]["message"]


def put_settled_orders(stack: Stack, how_many: int) -> list[str]:
    ids, table = [str(uuid4()) for _ in range(how_many)], stack.outputs["OrdersTableName"]
    orders = [replace(a_confirmed_order(order_id), sent_through=5, recorded_through=5) for order_id in ids]
    puts = [{"PutRequest": {"Item": items.new_order(order)}} for order in orders]
    for first in range(0, how_many, 25):
        answer = stack.client("dynamodb").batch_write_item(RequestItems={table: puts[first : first + 25]})
        assert not answer["UnprocessedItems"]
    return ids


# Queues

HUGE = "x" * 250_000
NO_MESSAGES_OF_EITHER = [body for body in NO_MESSAGES if body and body.isprintable()] + [HUGE]
AN_UNKNOWN_ORDER = "5f1b0e3c-0000-4000-8000-00000000000a"


def order_message_of(order_id: str) -> str:
    return json.dumps({"orderId": order_id, "token": "t", "deferrals": 0, "recordOnly": False})


ORDER_POISON = [*NO_MESSAGES_OF_EITHER, *NO_ORDER_MESSAGES, order_message_of(AN_UNKNOWN_ORDER)]
STATUS_POISON = [*NO_MESSAGES_OF_EITHER, *NO_STATUS_MESSAGES]


def test_poison_ends_among_the_dead_letters_soon_and_holds_up_nobody(
    stack: Stack, report: Callable[[str], None]
) -> None:
    """Not even an order in whose own group of the status queue it lies, before its first event."""

    async def scenario(client: Client) -> float:
        begin = asyncio.get_running_loop().time()
        keys = [f"poisoned-{uuid4()}" for _ in range(5)]
        for position, body in enumerate(STATUS_POISON):
            group = order_id_under(PUBLIC, keys[position % len(keys)])
            await asyncio.to_thread(send, stack, "StatusQueueUrl", body, MessageGroupId=group)
        for body in ORDER_POISON:
            await asyncio.to_thread(send, stack, "OrderQueueUrl", body)
        await asyncio.gather(*(confirmed_before_their_eyes(client, key) for key in keys))
        return asyncio.get_running_loop().time() - begin

    seconds = run(stack, scenario)
    report(f"{len(STATUS_POISON) + len(ORDER_POISON)} poisoned messages, five orders seen through in {seconds:.1f} s")
    assert_dead_letters(stack, "OrderDeadLetterQueueUrl", ORDER_POISON)
    assert_dead_letters(stack, "StatusDeadLetterQueueUrl", STATUS_POISON)


def test_an_operator_can_list_and_replay_beside_any_poison(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(beside(stack, tmp_path))
    poison = [*ORDER_POISON, "[/bold] :boom:", *(order_message_of(f"../{mark}") for mark in ("?a=b", "\x1b[2J", "[/]"))]
    for body in poison:
        send(stack, "OrderDeadLetterQueueUrl", body)
    for command in (["dlq", "list"], ["dlq", "replay", "--dry-run"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.exception
    assert_dead_letters(stack, "OrderDeadLetterQueueUrl", poison)


async def confirmed_before_their_eyes(client: Client, key: str) -> None:
    accepted = await client.submit(key=key)
    async with client.watch(orderId=accepted["orderId"]) as watch:
        await watch.end(seconds=20)
        assert watch.statuses() == HAPPY_PATH


def send(stack: Stack, queue: str, body: str, **group: str) -> None:
    once = {"MessageDeduplicationId": str(uuid4())} if group else {}
    stack.client("sqs").send_message(QueueUrl=stack.outputs[queue], MessageBody=body, **group, **once)


def assert_dead_letters(stack: Stack, queue: str, bodies: list[str]) -> None:
    """That these are among the dead letters, within seconds: half a minute is one visibility timeout."""
    missing = Counter(bodies)

    def look() -> list[str]:
        sqs, url = stack.client("sqs"), stack.outputs[queue]
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            missing.subtract([message["Body"]])
            # Of a group, the next one is shown when this one has gone.
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [body[:80] for body, times in missing.items() if times > 0]

    poll(look, lambda still_missing: not still_missing, within_s=20)
