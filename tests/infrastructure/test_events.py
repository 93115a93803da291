"""The sample events for `sam local invoke` are what the triggers send, and the handlers take them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from order_engine.adapters.sqs import order_message, status_message
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.ws_connect import SocketApi
from order_engine.service.accept_order import PUBLIC, order_id_under
from order_engine.service.follow_orders import FollowOrders
from order_engine.service.ports import Replay, StatusMessage
from tests.builders import a_confirmed_order
from tests.fakes import InMemoryConnections, RecordingSockets
from tests.functions.api import Api, invoke
from tests.infrastructure.stack import FUNCTIONS, ROOT, stack_with, target

EVENTS = ROOT / "events"
ORDER_ID = "c7afa3bf-687d-51b4-9ab6-ed5c91d201f5"
CONNECTION_ID = "Vt1x2fGhIAMCJvw="

HTTP_FIELDS = {"version", "routeKey", "rawPath", "rawQueryString", "headers", "requestContext", "isBase64Encoded"}
SQS_FIELDS = {
    *("messageId", "receiptHandle", "body", "attributes", "messageAttributes"),
    *("md5OfBody", "eventSource", "eventSourceARN", "awsRegion"),
}
CUSTOM_RESOURCE_FIELDS = {
    *("RequestType", "ResponseURL", "StackId", "RequestId"),
    *("ResourceType", "LogicalResourceId", "ResourceProperties"),
}

HTTP = sorted(EVENTS.glob("submit_order/*.json"))
SOCKET = sorted(EVENTS.glob("ws_connect/*.json"))
QUEUES = sorted([*EVENTS.glob("execute_order/*.json"), *EVENTS.glob("ws_notify/*.json")])


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_every_function_has_an_event_and_every_event_a_function() -> None:
    assert {path.parent.name for path in EVENTS.glob("*/*.json")} == set(FUNCTIONS.values())
    assert {path.name for path in EVENTS.iterdir()} == set(FUNCTIONS.values())


@pytest.mark.parametrize("path", HTTP, ids=named)
def test_http_events_have_the_shape_of_payload_format_2(path: Path) -> None:
    event = _load(path)
    assert HTTP_FIELDS <= event.keys() <= HTTP_FIELDS | {"body", "queryStringParameters"}
    assert event["version"] == "2.0"
    # SubmitOrder has the only route.
    assert event["routeKey"] == event["requestContext"]["routeKey"] == "$default"
    assert event["requestContext"]["http"]["path"] == event["rawPath"]


@pytest.mark.parametrize(
    ("name", "status"),
    [("post_order", 202), ("post_quote", 200), ("get_order", 200), ("list_orders", 200), ("health", 200)],
)
def test_http_events_are_answered(name: str, status: int) -> None:
    api = Api()
    if name != "post_order":
        api.orders.stored[ORDER_ID] = a_confirmed_order(ORDER_ID)
    answer = invoke(api.handler, _load(EVENTS / "submit_order" / f"{name}.json"))
    assert answer["statusCode"] == status, answer["body"]


def test_the_order_that_is_posted_is_the_one_that_the_other_events_are_about() -> None:
    key = _load(EVENTS / "submit_order" / "post_order.json")["headers"]["idempotency-key"]
    assert order_id_under(PUBLIC, key) == ORDER_ID


def test_every_http_event_is_tried() -> None:
    assert {path.stem for path in HTTP} == {"post_order", "post_quote", "get_order", "list_orders", "health"}


@pytest.mark.parametrize("path", SOCKET, ids=named)
def test_socket_events_come_by_a_route_of_the_template(path: Path) -> None:
    context = _load(path)["requestContext"]
    routes = {"$connect": "CONNECT", "$disconnect": "DISCONNECT", "$default": "MESSAGE"}
    declared = stack_with().of_type("AWS::ApiGatewayV2::Route").values()
    assert context["routeKey"] in {route["RouteKey"] for route in declared}
    assert context["eventType"] == routes[context["routeKey"]]
    assert context["stage"] == "live"


@pytest.mark.parametrize("path", SOCKET, ids=named)
def test_socket_events_are_answered_without_an_error(path: Path) -> None:
    api, sockets = Api(), RecordingSockets()
    api.orders.stored[ORDER_ID] = a_confirmed_order(ORDER_ID)
    socket_api = SocketApi(
        accept=api.accept,
        follow=FollowOrders(
            connections=InMemoryConnections(), orders=api.orders, statuses=api.statuses, clock=api.clock
        ),
        statuses=api.statuses,
        sockets=sockets,
        clock=api.clock,
        metrics=EmfMetrics("stack"),
    )
    event = _load(path)

    assert asyncio.run(socket_api.handle(event)) == {"statusCode": 200}
    answers = sockets.frames.get(CONNECTION_ID, [])
    assert len(answers) == (1 if event["requestContext"]["eventType"] == "MESSAGE" else 0)
    assert not [answer for answer in answers if answer.get("type") == "error"]


@pytest.mark.parametrize("path", QUEUES, ids=named)
def test_queue_events_have_the_shape_that_sqs_sends_from_the_functions_own_queue(path: Path) -> None:
    function = next(name for name, folder in FUNCTIONS.items() if folder == path.parent.name)
    (record,) = _load(path)["Records"]
    assert record.keys() == SQS_FIELDS
    assert record["eventSource"] == "aws:sqs"
    assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()
    queue = target(stack_with().event_sources()[function]["EventSourceArn"])
    assert record["eventSourceARN"].split(":")[-1].removesuffix(".fifo") == queue


def test_the_order_message_is_understood() -> None:
    message = order_message(_record("execute_order/order_message"))
    assert (message.order_id, message.receive_count, message.deferrals) == (ORDER_ID, 1, 0)
    assert message.record_only is False


def test_the_status_message_is_understood_and_grouped_by_its_order() -> None:
    record = _record("ws_notify/status")
    message = status_message(record)
    assert isinstance(message, StatusMessage)
    assert record["attributes"]["MessageGroupId"] == message.order_id == ORDER_ID
    assert record["attributes"]["MessageDeduplicationId"] == f"{ORDER_ID}:{message.events[-1]['sequence']}"
    accepted = a_confirmed_order(ORDER_ID).events[0]
    assert message.events == (accepted | {"timestamp": message.events[0]["timestamp"]},)


def test_the_replay_request_is_understood_and_grouped_by_its_order() -> None:
    record = _record("ws_notify/replay")
    assert status_message(record) == Replay(ORDER_ID, CONNECTION_ID, after=0)
    assert record["attributes"]["MessageGroupId"] == ORDER_ID


def test_the_custom_resource_event_is_the_one_of_the_template() -> None:
    event = _load(EVENTS / "migrate_database" / "create.json")
    schema = stack_with().resources["DatabaseSchema"]
    assert event.keys() - {"ServiceToken"} == CUSTOM_RESOURCE_FIELDS
    assert (event["RequestType"], event["LogicalResourceId"]) == ("Create", "DatabaseSchema")
    assert event["ResourceType"] == schema["Type"]
    # Where `sam local` can send the answer as well, and nobody needs to listen.
    assert event["ResponseURL"] == "file:///dev/null"
    assert event["ResourceProperties"].keys() == schema["Properties"].keys()


def _load(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text())
    return event


def _record(name: str) -> dict[str, Any]:
    (record,) = _load(EVENTS / f"{name}.json")["Records"]
    assert isinstance(record, dict)
    return record
