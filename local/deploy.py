"""Brings the emulator's CloudFormation stack in line with the rendered template."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from local.emulator import client
from local.process import StackError
from local.template import BUCKET, Rendered
from order_client.cli.target import LOCAL_STACK as STACK

_TEMPLATE = "template.json"

_ENDS = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

# It takes two or three.
_PATIENCE_S = 60


def deploy(url: str, rendered: Rendered, parameters: Mapping[str, str]) -> dict[str, str]:
    """Creates or updates the stack in the emulator at `url` and returns its outputs.

    Raises `StackError` naming the resources that failed, each with its reason, or the one that does not come to an end.
    """
    body = json.dumps(rendered.body, default=str).encode()
    _upload(client("s3", url), {**rendered.archives, _TEMPLATE: body})
    formation = client("cloudformation", url)
    request = {
        "StackName": STACK,
        # Not in the request itself, which takes 51,200 bytes.
        "TemplateURL": f"{url}/{BUCKET}/{_TEMPLATE}",
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    try:
        _submit(formation, request)
    except ClientError as error:
        raise StackError(f"The emulator refuses the template: {error.response['Error']['Message']}") from error
    return _outcome(formation)


def _upload(storage: Any, archives: Mapping[str, bytes]) -> None:
    storage.create_bucket(Bucket=BUCKET)
    for key, data in archives.items():
        storage.put_object(Bucket=BUCKET, Key=key, Body=data)


def _submit(formation: Any, request: Mapping[str, Any]) -> None:
    try:
        formation.create_stack(**request)
    except formation.exceptions.AlreadyExistsException:
        formation.update_stack(**request)


def _outcome(formation: Any) -> dict[str, str]:
    deadline = time.monotonic() + _PATIENCE_S
    while (stack := _stack(formation))["StackStatus"].endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            waits_for = _events(formation)[0]["LogicalResourceId"]
            raise StackError(
                f"The deploy still waits for {waits_for} after {_PATIENCE_S} s; see emulator.log in .local."
            )
        time.sleep(0.05)
    if stack["StackStatus"] not in _ENDS:
        raise StackError("\n".join([f"The deploy ended as {stack['StackStatus']}:", *_failures(formation)]))
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _failures(formation: Any) -> list[str]:
    return [
        f"    {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in _events(formation)
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def _stack(formation: Any) -> Any:
    return formation.describe_stacks(StackName=STACK)["Stacks"][0]


def _events(formation: Any) -> Any:
    """The newest first."""
    return formation.describe_stack_events(StackName=STACK)["StackEvents"]
