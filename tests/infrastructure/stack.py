"""The template as CloudFormation would see it: SAM's transform done offline, conditions decided."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
SOURCE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
LAYER = ROOT / "layers" / "common"

FUNCTIONS = {
    "SubmitOrder": "submit_order",
    "ExecuteOrder": "execute_order",
    "WsConnect": "ws_connect",
    "WsNotify": "ws_notify",
    "WatchOrders": "watch_orders",
    "MigrateDatabase": "migrate_database",
}
"""Logical id → folder under functions/, which is also its module in order_engine.runtime."""

Resource = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    resources: Mapping[str, Resource]

    def of_type(self, kind: str) -> dict[str, Any]:
        """Logical id → properties."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def function(self, name: str) -> Any:
        return self.of_type("AWS::Lambda::Function")[name]

    def variables(self, function: str) -> dict[str, Any]:
        found: dict[str, Any] = self.function(function)["Environment"]["Variables"]
        return found

    def aliases(self) -> dict[str, str]:
        """Alias → its function."""
        return {name: target(alias["FunctionName"]) for name, alias in self.of_type("AWS::Lambda::Alias").items()}

    def event_sources(self) -> dict[str, Any]:
        """Function → properties of its event source mapping."""
        return {
            self.aliases()[target(mapping["FunctionName"])]: mapping
            for mapping in self.of_type("AWS::Lambda::EventSourceMapping").values()
        }


def stack_with(source: dict[str, Any] = SOURCE, **parameters: str) -> Stack:
    # SAM asks for a region even where nothing depends on it.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    translated = translator.translate(_uploaded(source), dict(parameters))
    values = {name: str(declared.get("Default", "")) for name, declared in SOURCE["Parameters"].items()} | parameters
    resources = translated["Resources"].items()
    return Stack({name: resource for name, resource in resources if _exists(resource, values)})


def example_environment(function: str) -> dict[str, str]:
    """Variables that a function starts with, and reaches nobody."""

    def example(variable: str) -> str:
        if variable == "DATABASE_URL":
            return "postgresql://nobody@127.0.0.1:9/none"
        if variable == "POWERTOOLS_LOG_LEVEL":
            return "INFO"
        return "http://127.0.0.1:9" if variable.endswith(("_URL", "_ENDPOINT")) else "1"

    # As on Lambda, with credentials: without any, the SDK would look for a machine that has some.
    brought = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    return brought | {name: example(name) for name in stack_with().variables(function)}


def target(reference: Any) -> str:
    """The logical id that a Ref, GetAtt or Sub points at, with the path that a Sub adds to it."""
    match reference:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return name
        case {"Fn::Sub": str(text)}:
            named = re.fullmatch(r"\$\{(\w+)\.Arn\}(/.*)", text) or re.fullmatch(r"arn:.*:\$\{(\w+)\}(/.*)", text)
            assert named, text
            return named[1] + named[2]
    raise AssertionError(f"not a reference: {reference}")


def _uploaded(source: dict[str, Any]) -> dict[str, Any]:
    """A copy whose code lies in S3, where the transform wants it."""
    template = deepcopy(source)
    for resource in template["Resources"].values():
        for field in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][field] = f"s3://built/{resource['Properties'][field]}"
    return template


def _exists(resource: Resource, values: Mapping[str, str]) -> bool:
    condition = resource.get("Condition")
    return condition is None or _holds(SOURCE["Conditions"][condition], values)


def _holds(condition: Any, values: Mapping[str, str]) -> bool:
    match condition:
        case {"Fn::Not": [inner]}:
            return not _holds(inner, values)
        case {"Fn::Equals": [{"Ref": parameter}, str(value)]}:
            return values[parameter] == value
    raise AssertionError(f"not understood: {condition}")
