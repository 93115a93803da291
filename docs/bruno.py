"""The two documents as a collection of requests for Bruno, in its OpenCollection format: a file a request.

It is the one of the widespread formats that has HTTP and WebSocket requests side by side, as text that can be reviewed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

Document = dict[str, Any]

LOCAL = "http://127.0.0.1:4600/_aws/execute-api"
ENVIRONMENTS = {
    "local": (f"{LOCAL}/httpapi", f"{LOCAL}/websocketapi/live".replace("http", "ws", 1)),
    "aws": (
        "https://{httpApiId}.execute-api.us-east-1.amazonaws.com",
        "wss://{webSocketApiId}.execute-api.us-east-1.amazonaws.com/live",
    ),
}
"""Base URLs of the HTTP API and of the WebSocket."""

_ABOUT = """\
Choose the environment `local` for what `make run` starts, or put the outputs of a deployed stack into `aws`. The folder
`http` also runs from the command line: `bru run http --env local`.

Requests that place an order keep its id in `orderId`, which the others use. Each has a new idempotency key; put one of
your own there to see that the same request under the same key gets the first answer again.
"""

# Whose frames are examples of what the fields of an answer hold, where its own schema has none; the last one first.
_STORY = ("submit", "accepted", "pending", "routing", "building", "submitted", "confirmed")

# An hour's statistics, with one of its minutes.
_HOUR: Document = {
    "from": "2026-11-21T14:47:00.000Z",
    "to": "2026-11-21T15:47:00.000Z",
    "confirmed": 59,
    "failed": 1,
    "expired": 0,
    "successRate": "0.9833",
    "perMinute": [{"minute": "2026-11-21T15:46:00.000Z", "confirmed": 59, "failed": 1, "expired": 0}],
    "timeToConfirmMs": {"p50": 2574, "p95": 3391},
    "priceImprovementBps": {"p50": "21.07", "p95": "44.6"},
    "failures": [{"errorCode": "ATTEMPTS_EXHAUSTED", "count": 1}],
    "queues": {name: {"waiting": 0, "inFlight": 0, "delayed": 0} for name in ("orders", "statuses", "deadLetters")},
    "unavailable": [],
}


def collection(openapi: Document, asyncapi: Document) -> dict[str, Document]:
    """Every file of the collection, by its path in it."""
    files: dict[str, Document] = {
        "opencollection.yml": {
            "opencollection": "1.0.0",
            "info": {"name": openapi["info"]["title"], "version": openapi["info"]["version"]},
            "docs": _ABOUT,
            "bundled": False,
        }
    }
    for name, (base_url, ws_url) in ENVIRONMENTS.items():
        known = {"baseUrl": base_url, "wsUrl": ws_url, "orderId": _story(asyncapi)["orderId"][0]}
        variables = [{"name": variable, "value": value} for variable, value in known.items()]
        files[f"environments/{name}.yml"] = {"name": name, "variables": variables}
    # Apart, as Bruno's command line runs HTTP requests only: `bru run http --env local`.
    folders = {"http": _http_requests(openapi, asyncapi), "websocket": _socket_requests(asyncapi)}
    for place, (folder, requests) in enumerate(folders.items(), start=1):
        files[f"{folder}/folder.yml"] = {"info": {"name": folder, "type": "folder", "seq": place}}
        for number, request in enumerate(requests, start=1):
            request["info"]["seq"] = number
            files[f"{folder}/{_slug(request['info']['name'])}.yml"] = request
    return files


def _http_requests(openapi: Document, asyncapi: Document) -> Iterator[Document]:
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            for title, body in _bodies(operation):
                name = f"{method.upper()} {path}" + (f" with {title}" if title else "")
                yield _http_request(name, method.upper(), path, operation, body, _answers(openapi, asyncapi, operation))


def _bodies(operation: Document) -> Iterator[tuple[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if not content:
        yield "", None
    for title, example in content.get("examples", {}).items():
        yield title, example["value"]


def _http_request(  # noqa: PLR0913, PLR0917 (all that a request is made of)
    name: str, method: str, path: str, operation: Document, body: Any, answers: list[Document]
) -> Document:
    parameters = operation.get("parameters", [])
    http: Document = {"method": method, "url": "{{baseUrl}}" + re.sub(r"\{(\w+)\}", r":\1", path)}
    headers = [{"name": each["name"], "value": "{{$guid}}"} for each in parameters if each["in"] == "header"]
    params = [_param(each) for each in parameters if each["in"] in {"path", "query"}]
    if headers:
        http["headers"] = headers
    if params:
        http["params"] = params
    if body is not None:
        http["body"] = {"type": "json", "data": json.dumps(body, indent=2)}
    request: Document = {"info": {"name": name, "type": "http"}, "http": http}
    if "202" in operation["responses"]:
        keep_id = {
            "type": "set-variable",
            "phase": "after-response",
            "selector": {"expression": "res.body.orderId", "method": "jsonq"},
            "variable": {"name": "orderId", "scope": "runtime"},
        }
        request["runtime"] = {"actions": [keep_id]}
    if answers:
        asked = {"url": http["url"], "method": method}
        request["examples"] = [{"name": answer.pop("name"), "request": asked, "response": answer} for answer in answers]
    if "description" in operation:
        request["docs"] = operation["description"]
    return request


def _param(parameter: Document) -> Document:
    """What may be left out is there to be switched on."""
    name, kind = parameter["name"], parameter["in"]
    if kind == "path":
        return {"name": name, "value": f"{{{{{name}}}}}", "type": kind}
    example = parameter.get("example", next(iter(parameter["schema"].get("examples", [])), ""))
    return {"name": name, "value": str(example), "type": kind, "disabled": True}


def _answers(openapi: Document, asyncapi: Document, operation: Document) -> list[Document]:
    """An example of the success, and one of the refusal of a field where fields can be refused."""
    answers = []
    for status in ("200", "202", "422"):
        for media_type, content in operation["responses"].get(status, {}).get("content", {}).items():
            example = _Examples(openapi, asyncapi).of(content["schema"])
            if example is not None:
                answers.append(_answer(int(status), media_type, example))
    return answers


def _answer(status: int, media_type: str, example: Any) -> Document:
    # Of 422, Python 3.13 has another phrase than Python 3.11.
    phrase = example["title"] if status >= 400 else HTTPStatus(status).phrase
    return {
        "name": f"{status} {phrase}",
        "status": status,
        "statusText": phrase,
        "headers": [{"name": "Content-Type", "value": media_type}],
        "body": {"type": "json", "data": json.dumps(example, indent=2, ensure_ascii=False)},
    }


def _story(asyncapi: Document) -> dict[str, list[Any]]:
    """What is said in a field of each name, about one order from its first frame to its last; latest first."""
    payloads = [_payload(asyncapi, name) for name in _STORY]
    said: dict[str, list[Any]] = {}
    for payload in payloads:
        for name, value in payload.get("order", payload).items():
            said.setdefault(name, []).insert(0, value)
    events = [payload for payload in payloads if "progress" in payload]
    said["events"] = [events]
    said["attempts"], said["price"] = [events[-1]["attempt"]], [events[-1]["executedPrice"]]
    said["createdAt"], said["updatedAt"] = [events[0]["timestamp"]], [events[-1]["timestamp"]]
    for name in ("requestId", "retryable"):
        said[name] = [_payload(asyncapi, "error")[name]]
    for name, value in _HOUR.items():
        said.setdefault(name, []).append(value)
    return said


def _payload(asyncapi: Document, message: str) -> Document:
    """The message's first example."""
    payload: Document = asyncapi["components"]["messages"][message]["examples"][0]["payload"]
    return payload


class _Examples:
    """Values for schemas of the document: their own examples, else what the story says in a field of that name."""

    def __init__(self, openapi: Document, asyncapi: Document) -> None:
        self._openapi = openapi
        self._story = _story(asyncapi)
        self._accepted = _payload(asyncapi, "accepted")

    def of(self, schema: Document) -> Any:
        """None where there is nothing sensible to say."""
        example = self._value("", schema)
        return example if self._is_valid(schema, example) else None

    def _value(self, name: str, schema: Document) -> Any:
        schema = self._resolved(schema)
        said = [*schema.get("examples", []), *self._story.get(name, [])]
        fitting = [value for value in said if self._is_valid(schema, value)]
        return fitting[0] if fitting else self._made(schema)

    def _made(self, schema: Document) -> Any:
        fields = schema.get("properties", {})
        if fields.keys() == self._accepted.keys():
            return self._accepted
        match schema:
            case {"properties": _}:
                return {field: self._value(field, inner) for field, inner in fields.items()}
            case {"type": "array", "items": item}:
                return [self._value("", item)]
            case {"enum": [first, *_]} | {"const": first}:
                return first
            case {"type": "object"}:
                return {}
        return None

    def _resolved(self, schema: Document) -> Document:
        reference = schema.get("$ref")
        return self._openapi["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema

    def _is_valid(self, schema: Document, value: Any) -> bool:
        whole = {**schema, "components": self._openapi["components"]}
        return bool(Draft202012Validator(whole).is_valid(value))


def _socket_requests(asyncapi: Document) -> Iterator[Document]:
    messages = asyncapi["components"]["messages"]
    said = [
        {"title": example["name"], "message": {"type": "json", "data": json.dumps(_of_the_last(example), indent=2)}}
        for name in ("submit", "order", "subscribe", "ping", "unsubscribe")
        for example in messages[name]["examples"]
    ]
    channel = asyncapi["channels"]["live"]
    yield _socket_request("WebSocket", "{{wsUrl}}", said, channel["description"])
    ping = [message for message in said if message["title"] == "ping"]
    for query in channel["bindings"]["ws"]["query"]["examples"]:
        wanted = query | ({"orderId": "{{orderId}}"} if "orderId" in query else {})
        url = "{{wsUrl}}?" + urlencode(wanted, safe="{}")
        yield _socket_request(f"WebSocket with {', '.join(query)}", url, ping, channel["description"])


def _of_the_last(example: Document) -> Document:
    """About the order that was placed last, and not about the one in the documents."""
    payload: Document = example["payload"]
    return payload | ({"orderId": "{{orderId}}"} if "orderId" in payload else {})


def _socket_request(name: str, url: str, messages: list[Document], docs: str) -> Document:
    return {
        "info": {"name": name, "type": "websocket"},
        "websocket": {"url": url, "message": messages},
        "docs": docs,
    }


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
