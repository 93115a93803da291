"""`make docs`: what clients read, written from the code and from the part of asyncapi.yaml that is written by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import yaml  # type: ignore[import-untyped]
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from docs.bruno import collection
from order_engine.contracts.problems import FieldError
from order_engine.contracts.requests import DIALECTS
from order_engine.contracts.responses import OrderAccepted
from order_engine.domain.errors import ErrorCode
from order_engine.runtime.http_api import create_app

DOCS = Path(__file__).parent
COLLECTION = "collection"

Document = dict[str, Any]

_MARK = "    # From here on written by `make docs`, from the models that read and make these.\n"

# What the frames are made of that other code describes. What is sent has no other fields than these.
_READ: tuple[type, ...] = (*DIALECTS, ErrorCode)
_SENT: tuple[type, ...] = (OrderAccepted, FieldError)


def main() -> None:
    files = documents()
    shutil.rmtree(DOCS / COLLECTION, ignore_errors=True)
    for name, text in files.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def documents() -> dict[str, str]:
    """Every generated file's text by its path below this folder."""
    openapi, asyncapi = openapi_document(), asyncapi_text()
    requests = collection(openapi, yaml.safe_load(asyncapi))
    return {
        "openapi.json": json.dumps(openapi, indent=2, ensure_ascii=False) + "\n",
        "asyncapi.yaml": asyncapi,
        **{f"{COLLECTION}/{name}": as_yaml(request) for name, request in requests.items()},
    }


def openapi_document() -> Document:
    """As the HTTP API serves it. Nothing behind the API is asked for that."""
    return create_app(Mock(web_socket_url="wss://localhost/live")).openapi()


def asyncapi_text() -> str:
    """The document with the models below the mark brought up to date."""
    by_hand, mark, _ = (DOCS / "asyncapi.yaml").read_text().partition(_MARK)
    lines = as_yaml(_models()).splitlines(keepends=True)
    return by_hand + mark + "".join(f"    {line}" for line in lines)


def as_yaml(value: Mapping[str, Any]) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def _models() -> Document:
    schemas: Document = {}
    for model in _READ:
        schemas |= _schemas(model, "validation")
    for model in _SENT:
        sent = _schemas(model, "serialization")
        sent[model.__name__]["additionalProperties"] = False
        schemas |= sent
    return dict(sorted(schemas.items()))


def _schemas(model: type, mode: Any) -> Document:
    """The model's schema and those that it refers to, by name."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    schema = adapter.json_schema(
        mode=mode, ref_template="#/components/schemas/{model}", schema_generator=_SchemaWithoutTitles
    )
    return {**schema.pop("$defs", {}), model.__name__: schema}


class _SchemaWithoutTitles(GenerateJsonSchema):
    """A field's title would be its name once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Lists indented, texts of several lines as such, and no anchors, which few readers of such documents follow."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ARG002
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)

if __name__ == "__main__":
    main()
