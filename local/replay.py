"""What the SQS console's redrive does, where there is no console: dead letters become order messages again."""

from __future__ import annotations

from collections.abc import Iterator

from local.deploy import STACK
from local.emulator import client
from local.stack import Endpoints


def replay(endpoints: Endpoints) -> Iterator[str]:
    """Moves every dead letter back to the order queue, and yields the body of each.

    ministack 1.5.33 has no StartMessageMoveTask. Sent before it is deleted: twice is harmless, never is not.
    """
    formation, sqs = client("cloudformation", endpoints.aws), client("sqs", endpoints.aws)
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in formation.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    }
    dead_letters, orders = outputs["OrderDeadLetterQueueUrl"], outputs["OrderQueueUrl"]
    while messages := sqs.receive_message(QueueUrl=dead_letters, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.send_message(QueueUrl=orders, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
            yield message["Body"]
