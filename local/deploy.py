"""Brings the emulator's CloudFormation stack in line with the rendered template."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from local.emulator import client
from local.process import StackError
from local.template import BUCKET, Rendered

STACK = "order-engine"

_ENDS = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def deploy(url: str, rendered: Rendered, parameters: Mapping[str, str]) -> dict[str, str]:
    """Creates or updates the stack in the emulator at `url` and returns its outputs.

    Raises `StackError` naming the resources that failed, each with its reason.
    """
    _upload(client("s3", url), rendered.archives)
    formation = client("cloudformation", url)
    request = {
        "StackName": STACK,
        "TemplateBody": json.dumps(rendered.body, default=str),
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    try:
        formation.create_stack(**request)
    except formation.exceptions.AlreadyExistsException:
        formation.update_stack(**request)
    return _outcome(formation)


def _upload(storage: Any, archives: Mapping[str, bytes]) -> None:
    storage.create_bucket(Bucket=BUCKET)
    for key, data in archives.items():
        storage.put_object(Bucket=BUCKET, Key=key, Body=data)


def _outcome(formation: Any) -> dict[str, str]:
    while True:
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(0.05)
    if stack["StackStatus"] not in _ENDS:
        raise StackError("\n".join([f"The deploy ended as {stack['StackStatus']}:", *_failures(formation)]))
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _failures(formation: Any) -> list[str]:
    events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
    return [
        f"    {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]
