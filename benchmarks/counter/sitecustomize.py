"""Counts inside a function's process, from outside its code: Python imports a module of this name by itself.

Appends a line of JSON to COUNTER_FILE for each invocation of the handler and each call of the AWS SDK. Times are in
seconds: `at` and `until` of the Unix clock, `cpu` of the processor (of an invocation, by all threads together).
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

FUNCTION = os.environ.get("COUNTER_FUNCTION", "")

_file = os.open(os.environ["COUNTER_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if FUNCTION else -1
_import_module = importlib.import_module


def import_module(name: str, package: str | None = None) -> ModuleType:
    """The emulator's worker imports the function's code by this, so it is where the counting begins."""
    module = _import_module(name, package)
    if name == "app":
        count_calls()
        module.handler = counted(module.handler)  # type: ignore[attr-defined]
    return module


def counted(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def invoke(event: Any, context: Any) -> Any:
        at, cpu = time.time(), time.process_time()
        try:
            return handler(event, context)
        finally:
            used = time.process_time() - cpu
            write(
                kind="invocation",
                at=at,
                until=time.time(),
                cpu=used,
                messages=len(event.get("Records", [0])),
                event=event.get("requestContext", {}).get("eventType", ""),
                memoryMb=int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]),
            )

    return invoke


def count_calls() -> None:
    from botocore.client import BaseClient  # noqa: PLC0415 (only now: not to load it for other Python processes)

    client_class: Any = BaseClient
    make_call = client_class._make_api_call

    @functools.wraps(make_call)
    def counted_call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        began = time.thread_time()
        service = client.meta.service_model.service_name
        if service == "dynamodb":
            parameters = parameters | {"ReturnConsumedCapacity": "INDEXES"}
        at, cpu, answer = time.time(), time.thread_time(), {}
        try:
            answer = make_call(client, operation, parameters)
            return answer
        finally:
            until, used = time.time(), time.thread_time() - cpu
            write(
                kind="call",
                service=service,
                operation=operation,
                target=target(parameters),
                at=at,
                until=until,
                cpu=used,
                capacity=answer.get("ConsumedCapacity") or batch_capacity(parameters),
                bytes=payload_bytes(parameters),
                # What the counting took, up to the writing of this line.
                counter=time.thread_time() - began - used,
            )

    client_class._make_api_call = counted_call


def target(parameters: dict[str, Any]) -> str:
    """The table or queue that a call goes to."""
    tables = parameters.get("RequestItems") or [""]
    return str(parameters.get("TableName") or parameters.get("QueueUrl") or next(iter(tables)))


def payload_bytes(parameters: dict[str, Any]) -> int:
    """Of messages and frames, by which SQS and API Gateway charge."""
    messages = [entry["MessageBody"] for entry in parameters.get("Entries", []) if "MessageBody" in entry]
    return sum(map(len, [*messages, parameters.get("MessageBody", ""), parameters.get("Data", b"")]))


def batch_capacity(parameters: dict[str, Any]) -> dict[str, float] | None:
    """What BatchGetItem takes of items up to 4 KB; ministack 1.5.33 does not say it."""
    batches = list(parameters.get("RequestItems", {}).values())
    units = sum(len(batch["Keys"]) * (1 if batch.get("ConsistentRead") else 0.5) for batch in batches)
    return {"CapacityUnits": units} if batches else None


def write(**fields: object) -> None:
    os.write(_file, json.dumps({"function": FUNCTION, **fields}).encode() + b"\n")


if FUNCTION:
    importlib.import_module = import_module
