"""What goes on the queues comes off them again: bodies, groups and deduplication, on SQS (moto)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from order_engine.adapters.sqs import SqsOrderQueue, SqsQueueGauge, SqsStatusQueue, order_message, status_message
from order_engine.domain.statistics import QueueDepth
from order_engine.service.ports import Frame, Replay, StatusMessage
from tests.builders import a_confirmed_order, an_order
from tests.fakes import CountingRandomness

ORDER_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def sqs(aws_credentials: None) -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1")


@pytest.fixture
def order_queue_url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="orders")["QueueUrl"])


@pytest.fixture
def status_queue_url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="statuses.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"])


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    """As Lambda hands records to a function."""
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return [
        {"messageId": message["MessageId"], "body": message["Body"], "attributes": message["Attributes"]}
        for message in answer.get("Messages", [])
    ]


def test_an_order_message_arrives_with_what_the_queue_knows_of_it(sqs: Any, order_queue_url: str) -> None:
    queue = SqsOrderQueue(sqs, order_queue_url, CountingRandomness())
    asyncio.run(queue.send(ORDER_ID, deferrals=2, record_only=True))
    [record] = received(sqs, order_queue_url)
    message = order_message(record)
    assert (message.order_id, message.token) == (ORDER_ID, "token-1")
    assert (message.deferrals, message.record_only, message.receive_count) == (2, True, 1)
    assert message.message_id == record["messageId"]
    assert abs(message.sent_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_queue_says_how_many_messages_wait_are_being_handled_and_are_delayed(sqs: Any, order_queue_url: str) -> None:
    queue, gauge = SqsOrderQueue(sqs, order_queue_url, CountingRandomness()), SqsQueueGauge(sqs, order_queue_url)
    assert asyncio.run(gauge.depth()) == QueueDepth(waiting=0, in_flight=0, delayed=0)
    for delay_seconds in (0, 0, 0, 60, 60):
        asyncio.run(queue.send(ORDER_ID, delay_seconds=delay_seconds))
    sqs.receive_message(QueueUrl=order_queue_url, MaxNumberOfMessages=1)
    assert asyncio.run(gauge.depth()) == QueueDepth(waiting=2, in_flight=1, delayed=2)


def test_every_send_has_its_own_token(sqs: Any, order_queue_url: str) -> None:
    queue = SqsOrderQueue(sqs, order_queue_url, CountingRandomness())
    asyncio.run(queue.send(ORDER_ID))
    asyncio.run(queue.send(ORDER_ID))
    assert {order_message(record).token for record in received(sqs, order_queue_url)} == {"token-1", "token-2"}


def test_a_delayed_message_is_not_there_yet(sqs: Any, order_queue_url: str) -> None:
    queue = SqsOrderQueue(sqs, order_queue_url, CountingRandomness())
    asyncio.run(queue.send(ORDER_ID, delay_seconds=900))
    assert received(sqs, order_queue_url) == []


def test_an_order_message_brings_the_order_as_it_was_accepted(sqs: Any, order_queue_url: str) -> None:
    order = an_order(ORDER_ID, user_id="u1")
    asyncio.run(SqsOrderQueue(sqs, order_queue_url, CountingRandomness()).send(order.order_id, accepted=order))
    [record] = received(sqs, order_queue_url)
    assert order_message(record).accepted == order


@pytest.mark.parametrize(
    "accepted",
    [None, 7, "accepted", [], {}, {"createdAt": 7}, {"owner": "o", "request": {}, "createdAt": "2026-11-21T12:00:00Z"}],
)
def test_an_order_that_cannot_be_read_from_its_message_is_left_to_be_read_from_the_table(accepted: object) -> None:
    attributes = {"SentTimestamp": "1795230245678", "ApproximateReceiveCount": "1"}
    body = json.dumps({"orderId": ORDER_ID, "token": "token", "accepted": accepted})
    message = order_message({"messageId": "message", "body": body, "attributes": attributes})
    assert (message.order_id, message.accepted) == (ORDER_ID, None)


def test_events_arrive_in_order_as_they_were_stored(sqs: Any, status_queue_url: str) -> None:
    order = a_confirmed_order(user_id="u1")
    queue = SqsStatusQueue(sqs, status_queue_url, CountingRandomness())
    asyncio.run(queue.publish(order, order.events))
    messages = [status_message(record) for record in received(sqs, status_queue_url)]
    assert messages == [StatusMessage(order.order_id, "u1", order.events)]


def test_an_event_sent_twice_is_there_once(sqs: Any, status_queue_url: str) -> None:
    order = an_order()
    queue = SqsStatusQueue(sqs, status_queue_url, CountingRandomness())
    asyncio.run(queue.publish(order, order.events))
    asyncio.run(queue.publish(order, order.events))
    assert len(received(sqs, status_queue_url)) == 1


def test_a_replay_waits_in_its_orders_group_and_a_frame_in_its_connections(sqs: Any, status_queue_url: str) -> None:
    queue = SqsStatusQueue(sqs, status_queue_url, CountingRandomness())
    replay, frame = Replay(ORDER_ID, "socket", after=3, tries=1), Frame("socket", {"type": "error"}, tries=2)
    asyncio.run(queue.request_replay(replay))
    asyncio.run(queue.send_frame(frame))
    records = received(sqs, status_queue_url)
    assert [status_message(record) for record in records] == [replay, frame]
    assert [record["attributes"]["MessageGroupId"] for record in records] == [ORDER_ID, "socket"]


NO_ORDER_MESSAGES = [
    '{"orderId":7,"token":"t"}',
    '{"orderId":"o"}',
    '{"orderId":"","token":"t"}',
    '{"orderId":"\\ud800","token":"t"}',
    '{"orderId":"%s","token":"t"}' % ("o" * 3_000),
    *(
        f'{{"orderId":"o","token":"t",{field}}}'
        for field in ('"deferrals":"1"', '"deferrals":null', '"deferrals":[]', '"deferrals":Infinity', '"recordOnly":1')
    ),
]

NO_STATUS_MESSAGES = [
    '{"kind":"dance"}',
    '{"kind":"events"}',
    '{"kind":"events","orderId":"o","userId":null,"events":[{"sequence":"1"}]}',
    '{"kind":"events","orderId":"o","userId":null,"events":[{"sequence":true}]}',
    '{"kind":"events","orderId":"o","userId":null,"events":[1]}',
    '{"kind":"events","orderId":"o","userId":null,"events":[]}',
    '{"kind":"events","orderId":"o","userId":null,"events":{"sequence":1}}',
    '{"kind":"events","orderId":"o","userId":7,"events":[{"sequence":1}]}',
    '{"kind":"events","orderId":"o","userId":null,"events":[{"sequence":1,"message":"\\udfff"}]}',
    '{"kind":"replay","orderId":"o"}',
    '{"kind":"replay","orderId":"o","connectionId":"","after":0,"tries":0}',
    '{"kind":"replay","orderId":"o","connectionId":"c","after":"0","tries":0}',
    '{"kind":"frame"}',
    '{"kind":"frame","connectionId":"c","body":"hello","tries":0}',
    '{"kind":"frame","connectionId":"c","body":{},"tries":Infinity}',
]

NO_MESSAGES = ["", "7", "[]", "{}", "\x00", "[" * 100_000, "9" * 10_000]


@pytest.mark.parametrize("body", NO_MESSAGES + NO_ORDER_MESSAGES, ids=lambda body: body[:80])
def test_a_body_that_is_no_order_message_is_refused(body: str) -> None:
    attributes = {"SentTimestamp": "0", "ApproximateReceiveCount": "1"}
    with pytest.raises(ValueError):  # noqa: PT011 (json's own error is one)
        order_message({"body": body, "attributes": attributes, "messageId": "m"})


@pytest.mark.parametrize("body", NO_MESSAGES + NO_STATUS_MESSAGES, ids=lambda body: body[:80])
def test_a_body_that_is_no_status_message_is_refused(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        status_message({"body": body})


def test_bodies_are_compact_json(sqs: Any, order_queue_url: str) -> None:
    asyncio.run(SqsOrderQueue(sqs, order_queue_url, CountingRandomness()).send(ORDER_ID))
    [record] = received(sqs, order_queue_url)
    assert json.loads(record["body"]).keys() == {"orderId", "token", "deferrals", "recordOnly"}
