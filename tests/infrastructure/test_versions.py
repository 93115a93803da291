"""What an update changes reaches whom the triggers call: the published version behind the alias of each function."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.infrastructure.stack import FUNCTIONS, SOURCE, Stack, stack_of, stack_with, target

DEFAULT = stack_with()

PUBLISHED = ("SubmitOrder", "ExecuteOrder", "WsConnect", "WsNotify")
"""Somebody waits for these. The others run by themselves, on whatever was deployed last."""

LONGEST_DESCRIPTION = 256

LONG = {"AwsEndpointUrl": 40, "WebSocketEndpoint": 80, "Sockets": 80}
"""Characters of parameters that may be long; of the others, eight."""

RESERVED = "ReservedConcurrentExecutions"


def test_each_function_that_somebody_waits_for_has_an_alias_at_its_newest_version() -> None:
    aliases = DEFAULT.of_type("AWS::Lambda::Alias")
    assert {target(alias["FunctionName"]): alias["Name"] for alias in aliases.values()} == dict.fromkeys(
        PUBLISHED, "live"
    )
    for alias in aliases.values():
        version, attribute = alias["FunctionVersion"]["Fn::GetAtt"]
        assert attribute == "Version"
        assert DEFAULT.of_type("AWS::Lambda::Version")[version]["FunctionName"] == alias["FunctionName"]


def test_every_trigger_calls_an_alias_where_there_is_one() -> None:
    kinds = ("EventSourceMapping", "Permission")
    callers: dict[str, Any] = {
        name: properties["FunctionName"]
        for kind in kinds
        for name, properties in DEFAULT.of_type(f"AWS::Lambda::{kind}").items()
    }
    callers |= {name: one["IntegrationUri"] for name, one in DEFAULT.of_type("AWS::ApiGatewayV2::Integration").items()}
    callers |= {name: one["Body"] for name, one in DEFAULT.of_type("AWS::ApiGatewayV2::Api").items() if "Body" in one}
    named = {
        name: set(re.findall(r"\b(?:\w+Aliaslive|WatchOrders)\b", json.dumps(one))) for name, one in callers.items()
    }

    assert len(callers) == 2 + 5 + 3 + 1
    assert all(len(called) == 1 for called in named.values()), named
    assert set.union(*named.values()) == {f"{name}Aliaslive" for name in PUBLISHED} | {"WatchOrders"}


@pytest.mark.parametrize("function", PUBLISHED)
def test_a_version_is_described_by_exactly_the_parameters_of_its_function(function: str) -> None:
    """A new description makes a new version: one too few leaves the alias behind, one too many fails the update."""
    described = set(_parameters(_version(DEFAULT, function)["Description"]))
    # How many may run is the function's affair, and no version's.
    properties = {name: one for name, one in DEFAULT.function(function).items() if name != RESERVED}
    assert described == set(_parameters(properties))


def test_the_schema_is_migrated_and_its_fingerprint_changes_with_the_database() -> None:
    schema = DEFAULT.of_type("Custom::DatabaseSchema")["DatabaseSchema"]
    assert schema["DatabaseUrl"] == {"Ref": "DatabaseUrl"}


@pytest.mark.parametrize("function", PUBLISHED)
def test_no_secret_describes_a_version(function: str) -> None:
    assert "${DatabaseUrl}" not in json.dumps(_version(DEFAULT, function))


@pytest.mark.parametrize("function", PUBLISHED)
def test_a_description_fits_with_long_urls_in_it(function: str) -> None:
    description = _version(DEFAULT, function)["Description"]["Fn::Sub"]
    text = description if isinstance(description, str) else description[0]
    filled = re.sub(r"\$\{(\w+)[^}]*\}", lambda name: "x" * LONG.get(name[1], 8), text)
    assert len(filled) <= LONGEST_DESCRIPTION


@pytest.mark.parametrize("function", PUBLISHED)
def test_a_new_layer_or_setting_makes_a_new_version_and_nothing_else_does(function: str) -> None:
    layer, timeout, queue = (deepcopy(SOURCE) for _ in range(3))
    layer["Resources"]["CommonLayer"]["Properties"]["ContentUri"] = "layers/another"
    timeout["Resources"][function]["Properties"]["Timeout"] = 9
    queue["Resources"]["OrderQueue"]["Properties"]["VisibilityTimeout"] = 31
    before = _version_name(DEFAULT, function)

    assert _version_name(stack_of(layer), function) != before
    assert _version_name(stack_of(timeout), function) != before
    assert _version_name(stack_of(queue), function) == before


def test_a_version_that_the_alias_has_left_is_deleted() -> None:
    versions = [one for one in DEFAULT.resources.values() if one["Type"] == "AWS::Lambda::Version"]
    assert len(versions) == len(PUBLISHED)
    assert all(one["DeletionPolicy"] == "Delete" and "UpdateReplacePolicy" not in one for one in versions)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshots_are_taken_of_published_functions_and_only_when_asked_for(function: str) -> None:
    by_parameter = {"ApplyOn": {"Fn::If": ["SnapStartIsOn", "PublishedVersions", "None"]}}
    assert DEFAULT.function(function).get("SnapStart") == (by_parameter if function in PUBLISHED else None)
    assert SOURCE["Conditions"]["SnapStartIsOn"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "on"]}
    assert SOURCE["Parameters"]["SnapStart"]["Default"] == "off"


def _version_name(stack: Stack, function: str) -> str:
    (name,) = (
        name
        for name, version in stack.of_type("AWS::Lambda::Version").items()
        if target(version["FunctionName"]) == function
    )
    return name


def _version(stack: Stack, function: str) -> dict[str, Any]:
    version: dict[str, Any] = stack.of_type("AWS::Lambda::Version")[_version_name(stack, function)]
    return version


def _parameters(value: Any) -> Iterator[str]:
    """The parameters that a value depends on, through conditions and the fingerprint as well."""
    match value:
        case {"Ref": str(name)} if name in SOURCE["Parameters"]:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from (name for name in re.findall(r"\$\{(\w+)\}", text) if name in SOURCE["Parameters"])
            if "${DatabaseSchema.Fingerprint}" in text:
                yield from ("DatabaseUrl", "UseDatabaseProxy")
        case {"Fn::Sub": [str(text), dict(own)]}:
            yield from _parameters([{"Fn::Sub": text}, *own.values()])
        case {"Fn::If": [condition, *choices]}:
            yield from _parameters(SOURCE["Conditions"][condition])
            yield from _parameters(choices)
        case dict():
            yield from _parameters(list(value.values()))
        case list():
            for member in value:
                yield from _parameters(member)
