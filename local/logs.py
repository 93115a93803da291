"""What the functions of the running stack log, as it comes."""

from __future__ import annotations

import json
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
        for name, lines in lines_by_group(logs).items():
            # ministack 1.5.33 gives events no ids to tell them apart by, but keeps their order.
            new = lines[shown[name] :]
            shown[name] += len(new)
            yield from (f"{name.removeprefix(_PREFIX)}  {brief(line)}" for line in new)
        time.sleep(0.5)


def lines_by_group(logs: Any, since: float = 0) -> dict[str, list[str]]:
    """All lines of each function, first ones first, from a time on that is in seconds as `time.time` has it."""
    return {name: _messages(logs, name, since) for name in _groups(logs)}


def brief(message: str) -> str:
    """Metrics are lines of log as well, mostly of what CloudWatch wants to know about them: only names and values."""
    if not message.startswith('{"_aws":'):
        return message
    line = json.loads(message)
    names = [metric["Name"] for each in line["_aws"]["CloudWatchMetrics"] for metric in each["Metrics"]]
    values = (f"{name} {' '.join(f'{value:g}' for value in line[name])}" for name in names)
    reason = f" ({line['errorCode']})" if "errorCode" in line else ""
    return f"metrics: {', '.join(values)}{reason}"


def _groups(logs: Any) -> list[str]:
    groups = logs.describe_log_groups(logGroupNamePrefix=_PREFIX)["logGroups"]
    return [group["logGroupName"] for group in groups]


def _messages(logs: Any, group: str, since: float) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
    return [event["message"].rstrip() for page in pages for event in page["events"]]
