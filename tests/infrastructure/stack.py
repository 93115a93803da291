"""The template as CloudFormation would see it: SAM's transform done offline, conditions decided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
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

ELSEWHERE = {"DatabaseUrl": "postgresql://engine@database.example.com/orders"}

EMULATED = ELSEWHERE | {"FaultPoints": "on", "AwsEndpointUrl": "http://127.0.0.1:4566"}

VARIANTS: dict[str, dict[str, str]] = {
    "own database": {},
    "own database behind a proxy": {"UseDatabaseProxy": "on"},
    "database elsewhere": ELSEWHERE,
    "own names": {
        "DomainName": "api.example.com",
        "WebSocketDomainName": "ws.example.com",
        "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
        "HostedZoneId": "Z0000000000000000000",
        "WebSocketAccessLogs": "on",
        "Tracing": "on",
        "GradualDeployment": "on",
    },
    "emulator with faults": EMULATED,
}
"""The parameters by which stacks differ in what they are made of."""

ALWAYS = ""

NO_VALUE = {"Ref": "AWS::NoValue"}

Resource = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """`conditions` are those that hold."""

    resources: Mapping[str, Resource]
    conditions: frozenset[str] = frozenset()

    @cached_property
    def decided(self) -> Stack:
        """With every choice made that a condition makes."""
        chosen = {name: self._choose(resource) for name, resource in self.resources.items()}
        return Stack(chosen, self.conditions)

    def named_by(self, name: str) -> set[str]:
        """What a resource refers to, resources and parameters."""
        resource = self.resources[name]
        return set(_references(resource.get("Properties"))) | set(_listed(resource.get("DependsOn", [])))

    def needed_by(self, name: str) -> set[str]:
        """The resources that must be there before this one."""
        needed: set[str] = set()
        waiting = [name]
        while waiting:
            new = (self.named_by(waiting.pop()) & self.resources.keys()) - needed
            needed |= new
            waiting += new
        return needed

    def _choose(self, value: Any) -> Any:
        match value:
            case {"Fn::If": [condition, yes, no]}:
                return self._choose(yes if condition in self.conditions else no)
            case dict():
                chosen = {name: self._choose(one) for name, one in value.items()}
                return {name: one for name, one in chosen.items() if one != NO_VALUE}
            case list():
                return [one for one in map(self._choose, value) if one != NO_VALUE]
        return value

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


@cache
def stack_with(**parameters: str) -> Stack:
    return stack_of(SOURCE, **parameters)


def stack_of(source: dict[str, Any], /, **parameters: str) -> Stack:
    translated = processed(source, **parameters)
    values = {name: str(declared.get("Default", "")) for name, declared in SOURCE["Parameters"].items()} | parameters
    conditions = frozenset(name for name, condition in SOURCE["Conditions"].items() if _holds(condition, values))
    resources = translated["Resources"].items()
    exist = {name: one for name, one in resources if one.get("Condition", ALWAYS) in {*conditions, ALWAYS}}
    return Stack(exist, conditions)


def processed(source: dict[str, Any] = SOURCE, /, **parameters: str) -> dict[str, Any]:
    """What SAM makes of the template, with its conditions still open."""
    # SAM asks for a region even where nothing depends on it.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    translated: dict[str, Any] = translator.translate(_uploaded(source), dict(parameters))
    return translated


def example_environment(function: str) -> dict[str, str]:
    """Variables that a function starts with, and reaches nobody."""

    def example(variable: str) -> str:
        if variable == "DATABASE_URL":
            return "postgresql://nobody@127.0.0.1:9/none"
        if variable == "POWERTOOLS_LOG_LEVEL":
            return "INFO"
        if variable == "DATABASE_SECRET_ARN":
            return ""
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
        case {"Fn::GetAtt": [str(name), "MasterUserSecret.SecretArn"]}:
            return f"{name}/secret"
        case "*":
            return "*"
        case {"Fn::Sub": str(text)}:
            named = re.fullmatch(r"\$\{(\w+)\.Arn\}(/.*)", text) or re.fullmatch(r"arn:.*:\$\{(\w+)\}(/.*)", text)
            assert named, text
            return named[1] + named[2]
    raise AssertionError(f"not a reference: {reference}")


def _references(value: Any) -> Iterator[str]:
    match value:
        case {"Ref": str(name)} if not name.startswith("AWS::"):
            yield name
        case {"Fn::GetAtt": [str(name), _]}:
            yield name
        case {"Fn::GetAtt": str(path)}:
            yield path.split(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from _substituted(text, {})
        case {"Fn::Sub": [str(text), dict(own)]}:
            yield from _substituted(text, own)
            yield from _references(list(own.values()))
        case dict():
            yield from _references(list(value.values()))
        case list():
            for one in value:
                yield from _references(one)


def _substituted(text: str, own: Mapping[str, Any]) -> Iterator[str]:
    names = (path.split(".")[0] for path in re.findall(r"\$\{([^!}]+)\}", text))
    yield from (name for name in names if name not in own and not name.startswith("AWS::"))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _uploaded(source: dict[str, Any]) -> dict[str, Any]:
    """A copy whose code lies in S3, where the transform wants it."""
    template = deepcopy(source)
    for resource in template["Resources"].values():
        for field in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][field] = f"s3://built/{resource['Properties'][field]}"
    return template


def _holds(condition: Any, values: Mapping[str, str]) -> bool:
    match condition:
        case {"Fn::Not": [inner]}:
            return not _holds(inner, values)
        case {"Fn::And": [*members]}:
            return all(_holds(member, values) for member in members)
        case {"Fn::Or": [*members]}:
            return any(_holds(member, values) for member in members)
        case {"Condition": name}:
            return _holds(SOURCE["Conditions"][name], values)
        case {"Fn::Equals": [{"Ref": parameter}, str(value)]}:
            return values[parameter] == value
    raise AssertionError(f"not understood: {condition}")
