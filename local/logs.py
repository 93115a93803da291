"""What the functions of the running stack log, as it comes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from local.emulator import client
from local.stack import Endpoints

_PREFIX = "/aws/lambda/"


def follow(endpoints: Endpoints) -> Iterator[str]:
    """Lines of all functions from the first one on, without end. Raises botocore's errors when the stack stops."""
    logs = client("logs", endpoints.aws)
    shown: Counter[str] = Counter()
    while True:
        for name in _groups(logs):
            # ministack 1.5.33 gives events no ids to tell them apart by, but keeps their order.
            messages = _messages(logs, name)[shown[name] :]
            shown[name] += len(messages)
            yield from (f"{name.removeprefix(_PREFIX)}  {message.rstrip()}" for message in messages)
        time.sleep(0.5)


def _groups(logs: Any) -> list[str]:
    groups = logs.describe_log_groups(logGroupNamePrefix=_PREFIX)["logGroups"]
    return [group["logGroupName"] for group in groups]


def _messages(logs: Any, group: str) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]
