"""The documents for clients agree with the code, and are valid themselves."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from docs.bruno import ENVIRONMENTS
from docs.generate import COLLECTION, DOCS, documents
from order_engine.contracts.exact_json import MAX_BODY_BYTES
from order_engine.contracts.frames import (
    MAX_ERRORS,
    MAX_SEQUENCE,
    MAX_TEXT,
    Action,
    FollowUser,
    Ping,
    Submit,
    Subscribe,
    Unsubscribe,
    parse_connect,
    parse_frame,
)
from order_engine.contracts.problems import ValidationProblem
from order_engine.domain.errors import AttemptFailed, EngineError, ErrorCode
from order_engine.domain.orders import MAX_ATTEMPTS, PROGRESS, Order, Status
from order_engine.service.accept_order import PUBLIC, order_id_under
from order_engine.service.follow_orders import MAX_SUBSCRIPTIONS
from order_engine.service.notify_clients import NotifyClients
from order_engine.service.ports import Replay
from tests.builders import (
    BUY_SOL,
    SLIPPED,
    a_confirmed_order,
    a_failed_order,
    an_expired_order,
    an_order,
    answers,
    claim,
    submit,
)
from tests.documents.documents import (
    assert_documented,
    asyncapi,
    complaints,
    examples,
    message_of_client,
    message_of_server,
    messages,
    openapi,
    operation_at,
    replies,
)
from tests.fakes import NOON, FrozenClock, InMemoryConnections, InMemoryOrders, RecordingSockets, RecordingStatusQueue

AN_ID = "5f1b0e3c-0000-4000-8000-00000000000a"

NOT_OVER_THE_SOCKET = {
    "INVALID_CURSOR": "lists are read over HTTP",
    "UNSUPPORTED_MEDIA_TYPE": "frames have no media type",
    "HISTORY_UNAVAILABLE": "the history is read over HTTP",
    "CONNECTION_GONE": "nobody is there to be told",
}

EVERY_EVENT_HAS = {"orderId", "sequence", "status", "progress", "attempt", "timestamp", "message"}

SAID = {"submit": Submit, "order": Submit, "subscribe": Subscribe, "unsubscribe": Unsubscribe, "ping": Ping}

NO_ROUTE = AttemptFailed(ErrorCode.NO_ROUTE_FOUND, "No venue has this pair", may_work=False)


# What is generated


def test_the_documents_are_those_that_the_code_makes() -> None:
    generated = documents()
    kept = {str(path.relative_to(DOCS)) for path in (DOCS / COLLECTION).rglob("*.yml")}
    stale = [name for name, text in generated.items() if _text(DOCS / name) != text]
    stale += sorted(kept - generated.keys())
    assert not stale, f"The code says something else than docs/{', docs/'.join(stale)}: run `make docs` and commit it"


def test_generating_again_changes_nothing() -> None:
    assert documents() == documents()


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


# The WebSocket's document


def test_the_document_of_the_websocket_is_valid_asyncapi() -> None:
    schema = json.loads((Path(__file__).parent / "asyncapi-3.0.0.json").read_text())
    errors = [
        f"{error.json_path}: {error.message}" for error in jsonschema.Draft7Validator(schema).iter_errors(asyncapi())
    ]
    assert not errors


def test_every_reference_in_it_leads_somewhere() -> None:
    references = set(_references(asyncapi()))
    assert len(references) > 50
    for reference in references:
        place: Any = asyncapi()
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_every_message_belongs_to_an_operation_and_to_the_channel() -> None:
    operations = asyncapi()["operations"].values()
    named = {
        name
        for operation in operations
        for name in messages(operation) + messages(operation.get("reply", {"messages": []}))
    }
    assert asyncapi()["components"]["messages"].keys() == asyncapi()["channels"]["live"]["messages"].keys() == named


def test_its_codes_of_errors_are_those_of_the_code_and_of_the_text_for_people() -> None:
    documented = set(asyncapi()["components"]["schemas"]["SocketErrorCode"]["enum"])
    assert documented == {kind.code for kind in _kinds(EngineError)} - NOT_OVER_THE_SOCKET.keys()
    assert [code for code in documented if f"`{code}`" not in _text_for_people()] == []


def _kinds(kind: type[EngineError]) -> Iterator[type[EngineError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def test_every_status_has_its_event() -> None:
    assert sorted(messages(asyncapi()["operations"]["tell"])) == sorted(Status)
    for status in Status:
        schema = asyncapi()["components"]["schemas"][f"{status.title()}Event"]
        assert schema["properties"]["status"]["const"] == status
        assert schema["properties"]["progress"]["const"] == PROGRESS[status]
        assert not schema["additionalProperties"]
        (named,) = re.findall(rf"^\| `{status}` \| {PROGRESS[status]} \|(.*)\|$", _text_for_people(), re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", named)) == schema["properties"].keys() - EVERY_EVENT_HAS


def _text_for_people() -> str:
    return (DOCS / "websocket.md").read_text()


def test_its_limits_are_those_of_the_code() -> None:
    text, schemas = asyncapi()["info"]["description"], asyncapi()["components"]["schemas"]
    error = asyncapi()["components"]["messages"]["error"]["payload"]["properties"]
    assert f"at most {MAX_BODY_BYTES // 1024} KB" in text
    assert f"watches at most {MAX_SUBSCRIPTIONS} orders" in text
    assert schemas["After"]["anyOf"][0]["maximum"] == MAX_SEQUENCE
    assert schemas["Attempt"]["maximum"] == MAX_ATTEMPTS
    assert (error["errors"]["maxItems"], error["message"]["maxLength"]) == (MAX_ERRORS, MAX_TEXT)


def test_its_actions_are_all_that_are_known() -> None:
    with pytest.raises(ValidationProblem) as refused:
        parse_frame('{"action": "dance"}')
    actions = [
        action
        for message in asyncapi()["components"]["messages"].values()
        for schema in [message["payload"].get("properties", {}).get("action", {})]
        for action in schema.get("enum", [schema.get("const")])
        if action
    ]
    assert sorted(actions) == sorted(str(refused.value).replace(",", "").replace(" or", "").split()[3:])


# Its examples


@pytest.mark.parametrize("message", SAID)
def test_an_example_of_a_clients_frame_is_understood_as_documented(message: str) -> None:
    for example in examples(message):
        action: Action = parse_frame(json.dumps(example))
        assert isinstance(action, SAID[message])
        assert message_of_client(example) == message


def test_every_answer_and_every_event_has_an_example_that_is_one() -> None:
    sent = asyncapi()["components"]["messages"].keys() - SAID.keys()
    assert {message: {message_of_server(example) for example in examples(message)} for message in sent} == {
        message: {message} for message in sent
    }


def test_the_order_of_the_examples_is_the_one_that_they_place() -> None:
    """So that they work as they stand, one after the other."""
    order_id = order_id_under(PUBLIC, examples("submit")[0]["order"]["clientOrderId"])
    for message in ("accepted", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "building", "confirmed"):
        assert examples(message)[0]["orderId"] == order_id
    assert examples("pong")[0]["sequences"] == {order_id: examples("confirmed")[0]["sequence"]}


def test_an_example_of_a_query_string_is_understood() -> None:
    wishes = [parse_connect(example) for example in _query()["examples"]]
    assert [type(wish) for wish in wishes] == [Subscribe, Subscribe, FollowUser, Submit, Submit, Submit]
    assert {name for example in _query()["examples"] for name in example} <= _query()["properties"].keys()


def test_a_query_string_may_have_every_field_of_every_dialect() -> None:
    order = {
        field
        for reference in asyncapi()["components"]["schemas"]["Order"]["oneOf"]
        for field in asyncapi()["components"]["schemas"][reference["$ref"].rpartition("/")[2]]["properties"]
    }
    assert _query()["properties"].keys() == order | {"orderId", "after"}


def _query() -> dict[str, Any]:
    query: dict[str, Any] = asyncapi()["channels"]["live"]["bindings"]["ws"]["query"]
    return query


# What is really sent; the frames of ws_connect are held against the document by its own tests


def retried() -> Order:
    order = claim(an_order(AN_ID))
    return order.retrying(SLIPPED, NOON, NOON, answers=answers())


def reverted() -> Order:
    return submit(an_order(AN_ID)).retrying(SLIPPED, NOON, NOON)


LIVES = {
    "confirmed, exact in": a_confirmed_order(AN_ID),
    "confirmed, exact out": a_confirmed_order(AN_ID, swap=BUY_SOL),
    "exhausted": a_failed_order(AN_ID),
    "hopeless": claim(an_order(AN_ID)).failed(NO_ROUTE, NOON, answers=answers()),
    "expired": an_expired_order(AN_ID),
    "refused by the venues": retried(),
    "reverted": reverted(),
    "replayed": a_failed_order(AN_ID).replayed("claim", NOON),
}


@pytest.mark.parametrize("life", LIVES)
def test_every_event_that_a_watcher_is_sent_is_documented_under_its_status(life: str) -> None:
    frames = _replayed(LIVES[life])
    assert len(frames) == LIVES[life].sequence
    assert [message_of_server(frame) for frame in frames] == [frame["status"] for frame in frames]


def test_that_there_is_no_such_order_is_documented() -> None:
    assert [message_of_server(frame) for frame in _replayed(None)] == ["error"]


def test_the_document_tells_apart_what_only_looks_alike() -> None:
    (accepted,) = examples("accepted")
    assert complaints("pending", accepted)
    assert complaints("accepted", examples("pending")[0])
    for example in examples("confirmed"):
        assert complaints("confirmed", example | {"surprise": 1}) != []
        assert complaints("confirmed", example | {"amountOut": 228.8}) != []
        assert complaints("confirmed", example | {"orderId": "1"}) != []
    unavailable = next(example for example in examples("error") if example["retryable"])
    assert complaints("error", unavailable | {"code": "TIRED"}) != []
    assert complaints("error", unavailable | {"retryable": False}) != []


def _replayed(order: Order | None) -> list[dict[str, Any]]:
    orders, sockets = InMemoryOrders(), RecordingSockets()
    if order is not None:
        orders.stored[AN_ID] = order
    notify = NotifyClients(
        connections=InMemoryConnections(),
        orders=orders,
        statuses=RecordingStatusQueue(),
        sockets=sockets,
        clock=FrozenClock(),
    )
    asyncio.run(notify(Replay(AN_ID, "socket", after=0)))
    return [dict(frame) for frame in sockets.frames["socket"]]


# The collection


def test_every_operation_and_every_client_message_has_its_request() -> None:
    requests = [request["http"] for request in collected("http")]
    asked = {(request["method"], request["url"].removeprefix("{{baseUrl}}")) for request in requests}
    documented = {
        (method.upper(), path.replace("{orderId}", ":orderId"))
        for path, operations in openapi()["paths"].items()
        for method in operations
    }
    assert asked == documented
    said = [message for request in collected("websocket") for message in request["websocket"]["message"]]
    frames = [json.loads(message["message"]["data"].replace("{{orderId}}", AN_ID)) for message in said]
    assert {message_of_client(frame) for frame in frames} == set(SAID)
    for frame in frames:
        assert (
            message_of_server(examples(replies(message_of_client(frame))[0])[0]) == replies(message_of_client(frame))[0]
        )


def test_every_request_that_takes_an_idempotency_key_has_a_new_one() -> None:
    for request in collected("http"):
        path = request["http"]["url"].removeprefix("{{baseUrl}}").replace(":orderId", AN_ID)
        parameters = operation_at(request["http"]["method"], path).get("parameters", [])
        keyed = any(parameter["name"] == "Idempotency-Key" for parameter in parameters)
        assert request["http"].get("headers", []) == [{"name": "Idempotency-Key", "value": "{{$guid}}"}] * keyed


def test_every_saved_example_is_an_answer_as_documented() -> None:
    saved = [
        (request["http"], example["response"])
        for request in collected("http")
        for example in request.get("examples", [])
    ]
    assert len(saved) > 10
    for request, answer in saved:
        path = request["url"].removeprefix("{{baseUrl}}").replace(":orderId", AN_ID)
        (media_type,) = (header["value"] for header in answer["headers"])
        assert_documented(request["method"], path, answer["status"], media_type, json.loads(answer["body"]["data"]))


def test_every_environment_knows_all_variables_of_the_requests() -> None:
    for name in ENVIRONMENTS:
        environment = yaml.safe_load((DOCS / COLLECTION / f"environments/{name}.yml").read_text())
        assert [variable["name"] for variable in environment["variables"]] == ["baseUrl", "wsUrl", "orderId"]


def collected(kind: str) -> list[dict[str, Any]]:
    """The collection's requests of this kind, in their order."""
    files = [yaml.safe_load(path.read_text()) for path in (DOCS / COLLECTION).glob("*/*.yml")]
    requests = [file for file in files if file.get("info", {}).get("type") == kind]
    return sorted(requests, key=lambda request: int(request["info"]["seq"]))
