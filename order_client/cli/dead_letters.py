"""Dead letters of the order queue: look at them, and send them back for a fresh set of attempts.

What the SQS console's redrive does for all of them, this does by order: receive, send, delete.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from order_client.cli.aws import Aws, in_a_sentence

# Long enough to look at a full queue, short enough to have it back soon after a command that was killed.
_HELD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class DeadLetter:
    body: str
    order_id: str | None
    """None for a message that never was an order's."""
    sent_at: datetime
    receipt: str


@contextmanager
def dead_letters(aws: Aws) -> Iterator[list[DeadLetter]]:
    """All of them, oldest first, held while the context lasts. What is not deleted by then goes back.

    Raises `NoTarget` when the queue cannot be asked.
    """
    sqs, url = aws.client("sqs"), aws.outputs["OrderDeadLetterQueueUrl"]
    found: list[DeadLetter] = []
    with in_a_sentence("The dead letters cannot be asked for"):
        try:
            while messages := _receive(sqs, url):
                found += map(_dead_letter, messages)
            yield sorted(found, key=lambda letter: letter.sent_at)
        finally:
            for letter in found:
                _give_back(sqs, url, letter)


def chosen(letters: list[DeadLetter], order_ids: Collection[str]) -> list[DeadLetter]:
    """Those of these orders; all orders' where none is named."""
    return [letter for letter in letters if letter.order_id and (not order_ids or letter.order_id in order_ids)]


def replay(aws: Aws, letter: DeadLetter) -> None:
    """Sent before it is deleted: replaying twice is harmless, losing is not."""
    sqs = aws.client("sqs")
    sqs.send_message(QueueUrl=aws.outputs["OrderQueueUrl"], MessageBody=letter.body)
    sqs.delete_message(QueueUrl=aws.outputs["OrderDeadLetterQueueUrl"], ReceiptHandle=letter.receipt)


def _receive(sqs: Any, url: str) -> list[dict[str, Any]]:
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=_HELD_SECONDS,
        # Short polling asks some of the servers only, and may find nothing where there is something.
        WaitTimeSeconds=1,
        MessageSystemAttributeNames=["SentTimestamp"],
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def _dead_letter(message: dict[str, Any]) -> DeadLetter:
    sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return DeadLetter(message["Body"], _order_id(message["Body"]), sent_at, message["ReceiptHandle"])


def _order_id(body: str) -> str | None:
    try:
        return str(UUID(json.loads(body)["orderId"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _give_back(sqs: Any, url: str, letter: DeadLetter) -> None:
    # One that was replayed has been deleted.
    with suppress(sqs.exceptions.ClientError):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)
