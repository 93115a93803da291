"""A batch of the status queue: whose failure makes whom wait, and what nobody waits for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from order_engine.domain.errors import Unavailable
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.ws_notify import Notifier
from order_engine.service.ports import Frame, Replay, StatusMessage


class RecordingNotify:
    def __init__(self, *failing: str) -> None:
        self.served: list[str] = []
        self._failing = failing

    async def __call__(self, message: StatusMessage | Replay | Frame) -> None:
        assert isinstance(message, Frame)
        if message.connection_id in self._failing:
            raise Unavailable("DynamoDB")
        self.served.append(message.connection_id)


class RecordingSqs:
    def __init__(self) -> None:
        self.at_once: list[str] = []

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        assert (QueueUrl, VisibilityTimeout) == ("url", 0)
        self.at_once.append(ReceiptHandle)


def a_record(name: str, group: str, body: str | None = None) -> dict[str, Any]:
    frame = {"kind": "frame", "connectionId": name, "body": {}, "tries": 0}
    return {
        "messageId": name,
        "receiptHandle": name,
        "body": json.dumps(frame) if body is None else body,
        "attributes": {"MessageGroupId": group},
    }


def work(notify: RecordingNotify, sqs: RecordingSqs, *records: dict[str, Any]) -> list[str]:
    answer = asyncio.run(Notifier(notify, sqs, "url", EmfMetrics("stack")).work(records))  # type: ignore[arg-type]
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_failure_holds_up_what_is_behind_it_in_its_group_and_no_other_group() -> None:
    notify = RecordingNotify("a2")
    records = [a_record("a1", "a"), a_record("b1", "b"), a_record("a2", "a"), a_record("a3", "a"), a_record("b2", "b")]
    assert work(notify, RecordingSqs(), *records) == ["a2", "a3"]
    assert sorted(notify.served) == ["a1", "b1", "b2"]


def test_nonsense_comes_again_at_once_and_holds_up_nothing_even_in_its_group() -> None:
    notify, sqs = RecordingNotify(), RecordingSqs()
    records = [a_record("a1", "a", "nonsense"), a_record("a2", "a"), a_record("a3", "a", "[]"), a_record("a4", "a")]
    assert work(notify, sqs, *records) == ["a1", "a3"]
    assert notify.served == ["a2", "a4"]
    assert sqs.at_once == ["a1", "a3"]


def test_nonsense_is_still_reported_when_a_later_message_fails() -> None:
    notify = RecordingNotify("a2")
    assert work(notify, RecordingSqs(), a_record("a1", "a", "?"), a_record("a2", "a"), a_record("a3", "a")) == [
        "a1",
        "a2",
        "a3",
    ]
