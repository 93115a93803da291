"""The documents for clients, and what they say of a frame or of an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml  # type: ignore[import-untyped]
from jsonschema_rs import Draft7Validator, Draft202012Validator

from docs.generate import DOCS

Json = dict[str, Any]


@cache
def asyncapi() -> Json:
    document: Json = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
    return document


@cache
def openapi() -> Json:
    document: Json = json.loads((DOCS / "openapi.json").read_text())
    return document


def message_of_client(frame: object) -> str:
    """The name of the one message that this is, of those that the engine receives."""
    return _the_message(frame, [name for operation in _operations("receive") for name in messages(operation)])


def message_of_server(frame: object) -> str:
    """The name of the one message that this is, of those that the engine sends."""
    answers = [name for operation in _operations("receive") for name in messages(operation["reply"])]
    return _the_message(frame, answers + [name for operation in _operations("send") for name in messages(operation)])


def replies(client_message: str) -> list[str]:
    """The names of the messages that may answer this one; the one that does what was asked for is the first."""
    (operation,) = (each for each in _operations("receive") if client_message in messages(each))
    return messages(operation["reply"])


def messages(operation: Mapping[str, Any]) -> list[str]:
    return [message["$ref"].rpartition("/")[2] for message in operation["messages"]]


def examples(message: str) -> list[Json]:
    return [example["payload"] for example in asyncapi()["components"]["messages"][message]["examples"]]


def complaints(message: str, frame: object) -> list[str]:
    """What the document has against this frame as this message."""
    errors = _validator(message).iter_errors(frame)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


def assert_documented(method: str, path: str, status: int, media_type: str, body: object) -> None:
    """Holds an HTTP answer against its schema."""
    answers = operation_at(method, path)["responses"]
    assert str(status) in answers, f"{method} {path} is answered with {status}, which is documented nowhere: {body}"
    schema = answers[str(status)]["content"][media_type]["schema"]
    whole = {**schema, "components": openapi()["components"]}
    errors = [error.message for error in Draft202012Validator(whole).iter_errors(body)]
    assert not errors, f"{method} {path} is answered with {status} {body}: {errors}"


def operation_at(method: str, path: str) -> Json:
    """What the document says of this request; the path may be a template's or one with its values."""
    for template, operations in openapi()["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if method.lower() in operations and (path == template or re.fullmatch(pattern, path)):
            found: Json = operations[method.lower()]
            return found
    raise AssertionError(f"{method} {path} is documented nowhere")


def _operations(action: str) -> Iterator[Json]:
    return (operation for operation in asyncapi()["operations"].values() if operation["action"] == action)


def _the_message(frame: object, names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    fitting = [name for name in names if _validator(name).is_valid(frame)]
    if len(fitting) == 1:
        return fitting[0]
    against = {name: complaints(name, frame) for name in names if name in str(frame)}
    raise AssertionError(f"{frame} is not one message but {fitting}; {against}")


@cache
def _validator(message: str) -> Draft7Validator:
    payload = asyncapi()["components"]["messages"][message]["payload"]
    return Draft7Validator({"allOf": [payload], "components": asyncapi()["components"]}, validate_formats=True)
