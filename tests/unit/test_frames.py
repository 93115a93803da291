"""What WebSocket clients may say, and how nonsense is refused: by the field, never by silence."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_engine.contracts.frames import (
    FollowUser,
    Ping,
    Submit,
    Subscribe,
    Unsubscribe,
    accepted_frame,
    error_frame,
    parse_connect,
    parse_frame,
)
from order_engine.contracts.problems import BodyTooLarge, ValidationProblem, field_errors
from order_engine.contracts.responses import OrderAccepted

ID = "5f1b0e3c-0000-4000-8000-00000000000a"
ORDER = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}


def test_every_action_is_understood() -> None:
    assert parse_frame(json.dumps({"action": "subscribe", "orderId": ID, "after": 3})) == Subscribe(UUID(ID), 3)
    assert parse_frame(json.dumps({"action": "unsubscribe", "orderId": ID})) == Unsubscribe(UUID(ID))
    assert parse_frame('{"action":"ping"}') == Ping()


@pytest.mark.parametrize(
    "frame",
    [
        {"action": "submit", "order": ORDER},
        {"action": "execute", "order": ORDER},
        ORDER,
        {"inputToken": "SOL", "outputToken": "USDC", "amount": 1.5},
        {"baseToken": "SOL", "quoteToken": "USDC", "amount": 1.5, "side": "sell"},
    ],
)
def test_an_order_is_submitted_under_every_name(frame: dict[str, object]) -> None:
    submit = parse_frame(json.dumps(frame))
    assert isinstance(submit, Submit)
    assert submit.request.swap.amount == 1_500_000_000


BAD_FRAMES = [
    ("", "#"),
    ("hello", "#"),
    ("[]", "#"),
    ("null", "#"),
    ("7", "#"),
    ('{"action":"ping"', "#"),
    ('{"action":"ping","action":"ping"}', "#/action"),
    ('{"action":"dance"}', "#/action"),
    ('{"action":null}', "#/action"),
    ('{"action":["ping"]}', "#/action"),
    ('{"action":"ping","and":"more"}', "#/and"),
    ('{"action":"subscribe"}', "#/orderId"),
    ('{"action":"subscribe","orderId":"1"}', "#/orderId"),
    ('{"action":"subscribe","orderId":7}', "#/orderId"),
    ('{"action":"subscribe","orderId":"' + ID + '","after":-1}', "#/after"),
    ('{"action":"subscribe","orderId":"' + ID + '","after":1.5}', "#/after"),
    ('{"action":"subscribe","orderId":"' + ID + '","after":99999999}', "#/after"),
    ('{"action":"unsubscribe"}', "#/orderId"),
    ('{"action":"submit"}', "#/order"),
    ('{"action":"submit","order":7}', "#/order"),
    ('{"action":"submit","order":{"tokenIn":"SOL","tokenOut":"SOL","amount":1}}', "#/order/tokenOut"),
    ('{"action":"submit","order":{"tokenIn":"SOL","tokenOut":"USDC","amount":"much"}}', "#/order/amount"),
    ('{"tokenIn":"SOL","tokenOut":"USDC","amount":NaN}', "#"),
    ('{"tokenIn":"SOL","tokenOut":"USDC","amount":-1}', "#/amount"),
    ('{"tokenIn":"SOL","tokenOut":"USDC","amount":1e400}', "#/amount"),
    ('{"tokenIn":"\\ud800","tokenOut":"USDC","amount":1}', "#"),
    ("{}", "#/amount"),
]


@pytest.mark.parametrize(("text", "pointer"), BAD_FRAMES)
def test_nonsense_is_refused_by_its_field(text: str, pointer: str) -> None:
    with pytest.raises(ValidationProblem) as refused:
        parse_frame(text)
    assert pointer in [error.pointer for error in field_errors(refused.value)]


def test_a_frame_of_more_than_16_kilobytes_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        parse_frame(json.dumps({"action": "ping", "and": "x" * 20_000}))


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_is_said_is_understood_or_refused(text: str) -> None:
    with pytest.raises((ValidationProblem, BodyTooLarge)):
        parse_frame(text)


def test_a_connection_says_what_it_wants_in_its_query_string() -> None:
    assert parse_connect({}) is None
    assert parse_connect({"orderId": ID}) == Subscribe(UUID(ID))
    assert parse_connect({"orderId": ID, "after": "3"}) == Subscribe(UUID(ID), 3)
    assert parse_connect({"userId": "u1"}) == FollowUser("u1")
    assert isinstance(parse_connect(ORDER), Submit)
    assert isinstance(parse_connect(ORDER | {"userId": "u1"}), Submit)


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"orderId": "1"}, "orderId"),
        ({"orderId": ID, "after": "x"}, "after"),
        ({"orderId": ID, "userId": "u1"}, "userId"),
        ({"userId": ""}, "userId"),
        ({"userId": "x" * 200}, "userId"),
        ({"token": "abc"}, "token"),
        ({"tokenIn": "SOL", "tokenOut": "USDC"}, "amount"),
        ({"tokenIn": "SOL", "tokenOut": "USDC", "amount": "-1"}, "amount"),
    ],
)
def test_a_query_string_of_nonsense_is_refused_by_its_parameter(parameters: dict[str, str], pointer: str) -> None:
    with pytest.raises(ValidationProblem) as refused:
        parse_connect(parameters)
    assert pointer in [error.pointer.removeprefix("#/") for error in field_errors(refused.value)]


def test_an_error_frame_names_the_field_in_its_message_and_by_itself() -> None:
    with pytest.raises(ValidationProblem) as refused:
        parse_frame('{"action":"subscribe","orderId":"1"}')
    frame = error_frame(refused.value, request_id="r1")
    assert frame["code"] == "VALIDATION_FAILED"
    assert "orderId" in str(frame["message"])
    assert frame["errors"] == [{"pointer": "#/orderId", "detail": "must be a UUID"}]


def test_the_answer_to_an_order_is_the_one_over_http() -> None:
    event = {
        "orderId": ID,
        "sequence": 1,
        "status": "pending",
        "timestamp": "2026-11-21T03:04:05.006Z",
        "message": "Got it",
    }
    assert accepted_frame(event | {"progress": 10}) == OrderAccepted.of(event).model_dump(by_alias=True, mode="json")


@pytest.mark.parametrize(
    ("after", "read"),
    [(None, 0), (0, 0), (3, 3), ("3", 3), ("3.0", 3), (True, None), ("", None), ("٣", None), ([], None)],
)
def test_where_to_go_on_after_is_a_whole_number_however_it_is_written(after: object, read: int | None) -> None:
    frame = json.dumps({"action": "subscribe", "orderId": ID, "after": after})
    if read is None:
        with pytest.raises(ValidationProblem, match="after: must be a whole number from 0 to 1000000"):
            parse_frame(frame)
    else:
        assert parse_frame(frame) == Subscribe(UUID(ID), read)


@pytest.mark.parametrize("written", [ID.upper(), ID.replace("-", "")])
def test_an_order_id_is_understood_however_it_is_written(written: str) -> None:
    assert parse_connect({"orderId": written}) == Subscribe(UUID(ID))


def test_all_that_is_wrong_with_a_frame_is_said_at_once() -> None:
    with pytest.raises(ValidationProblem) as refused:
        parse_frame('{"action":"subscribe","after":-1,"and":"more"}')
    assert [(error.pointer, error.detail) for error in refused.value.errors] == [
        ("#/orderId", "is required"),
        ("#/after", "must be a whole number from 0 to 1000000"),
        ("#/and", "is not known here"),
    ]
