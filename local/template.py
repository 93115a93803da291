"""From the SAM template to one that the emulator takes: transformed here, without `sam build` and without AWS."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template
from samtranslator.yaml_helper import yaml_parse
from yaml import YAMLError  # type: ignore[import-untyped]

from local.emulator import session
from local.process import StackError

BUCKET = "local-artifacts"

Template = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A native CloudFormation template and, by key, the archives in `BUCKET` that it names."""

    body: Template
    archives: Mapping[str, bytes]


def read(path: Path) -> Template:
    """The template as it stands. Raises `StackError` where it is no YAML."""
    try:
        parsed: Template = yaml_parse(path.read_text())
    except YAMLError as error:
        raise StackError(f"{path} is not readable: {error}") from error
    return parsed


def api_id(logical_id: str) -> str:
    """What `pin_api_ids` makes of an API's logical id, so that its URL is known before the deploy."""
    return logical_id.lower()


def render(path: Path, parameters: Mapping[str, str]) -> Rendered:
    template = read(path)
    archives = _package(template, path.parent)
    _pin_api_ids(template)
    transformed = _transform(template, dict(parameters))
    _explode_http_apis(transformed)
    _make_numbers(transformed, parameters)
    return Rendered(transformed, archives)


def _transform(template: Template, parameters: dict[str, str]) -> Template:
    """As samtranslator's own `transform`, which takes its region from the environment's AWS profile only.

    Raises `StackError` naming the resources that are not as SAM wants them.
    """
    to_py27_compatible_template(template, parameters)
    translator = Translator(None, Parser(), boto_session=session())
    try:
        transformed: Template = undo_mark_unicode_str_in_template(translator.translate(template, parameters))
    except InvalidDocumentException as error:
        raise StackError(
            "\n".join(["SAM refuses the template:", *(f"    {cause.message}" for cause in error.causes)])
        ) from None
    return transformed


def check_parameters(template: Template, values: Mapping[str, str]) -> None:
    """Raises `StackError` naming the first value that the template does not allow. The emulator would take any."""
    for name, value in values.items():
        rules = template["Parameters"].get(name)
        if rules is None:
            raise StackError(f"The template has no parameter {name}")
        if broken := _broken_rule(value, rules):
            raise StackError(f"{name} is {value!r}, but must be {broken}")
    ends = [values.get(name, template["Parameters"][name]["Default"]) for name in ("LandingMinMs", "LandingMaxMs")]
    if int(ends[0]) > int(ends[1]):
        raise StackError(f"LandingMinMs is {ends[0]}, but must not be above LandingMaxMs, which is {ends[1]}")


def _broken_rule(value: str, rules: Mapping[str, Any]) -> str | None:
    if rules["Type"] == "Number":
        return _broken_range(value, rules)
    if "AllowedValues" in rules and value not in rules["AllowedValues"]:
        return "one of " + ", ".join(rules["AllowedValues"])
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], value):
        return str(rules.get("ConstraintDescription", rules["AllowedPattern"])).removeprefix("must be ")
    return None


def _broken_range(value: str, rules: Mapping[str, Any]) -> str | None:
    # Those that may be fractions have their defaults quoted.
    is_whole = isinstance(rules.get("Default"), int)
    try:
        number = int(value) if is_whole else float(value)
    except ValueError:
        return "a whole number" if is_whole else "a number"
    low, high = rules.get("MinValue"), rules.get("MaxValue")
    if (low is not None and not number >= low) or (high is not None and not number <= high):
        return f"at least {low}" if high is None else f"between {low} and {high}"
    return None


def _package(template: Template, base: Path) -> dict[str, bytes]:
    """Archives every folder of code as it is, and points the template at the archives.

    Libraries are not packed: the emulator runs functions with this interpreter, which has them.
    """
    archives: dict[str, bytes] = {}
    for resource in template["Resources"].values():
        match resource:
            case {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": folder} as properties}:
                properties["CodeUri"] = _archive(base / folder, "", archives)
            case {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": folder} as properties}:
                # Where Lambda looks for a layer's Python packages; the built layer has them there as well.
                properties["ContentUri"] = _archive(base / folder, "python/", archives)
    return archives


def _archive(folder: Path, prefix: str, archives: dict[str, bytes]) -> str:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                # A fixed time: the same files make the same archive.
                archive.writestr(zipfile.ZipInfo(prefix + file.relative_to(folder).as_posix()), file.read_bytes())
    key = sha256(data.getvalue()).hexdigest() + ".zip"
    archives[key] = data.getvalue()
    return f"s3://{BUCKET}/{key}"


def _pin_api_ids(template: Template) -> None:
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in {"AWS::Serverless::HttpApi", "AWS::Serverless::WebSocketApi"}:
            # The tag by which ministack lets an API's id be chosen.
            resource.setdefault("Properties", {}).setdefault("Tags", {})["ms-custom-id"] = api_id(logical_id)


def _explode_http_apis(template: Template) -> None:
    """Replaces the OpenAPI body of each HTTP API by integrations and routes: ministack 1.5.33 ignores bodies."""
    resources = template["Resources"]
    for logical_id, resource in list(resources.items()):
        if resource["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in resource["Properties"]:
            body = resource["Properties"].pop("Body")
            resource["Properties"] |= {"ProtocolType": "HTTP", "Name": logical_id}
            # ministack 1.5.33 answers preflights by these names only, which are those of its API, not CloudFormation's.
            if cors := body.get("x-amazon-apigateway-cors"):
                resource["Properties"]["CorsConfiguration"] = cors
            tags = {tag["name"]: tag["x-amazon-apigateway-tag-value"] for tag in body["tags"]}
            resource["Properties"].setdefault("Tags", {}).update(tags)
            for number, (route_key, uri) in enumerate(_routes(body).items()):
                integration = f"{logical_id}Integration{number}"
                resources[integration] = _integration(logical_id, uri)
                resources[f"{logical_id}Route{number}"] = _route(logical_id, route_key, integration)


def _make_numbers(template: Template, parameters: Mapping[str, str]) -> None:
    """Puts in the number of workers: ministack 1.5.33 would compare the text of the parameter with a number."""
    declared = template["Parameters"]
    numbers = {
        name: int(parameters.get(name, rules["Default"]))
        for name, rules in declared.items()
        if rules["Type"] == "Number" and isinstance(rules["Default"], int)
    }
    for resource in template["Resources"].values():
        match resource:
            case {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"ScalingConfig": limits}}:
                resource["Properties"]["ScalingConfig"] = _with_numbers(limits, numbers)
            case {"Type": "AWS::Lambda::Function", "Properties": {"ReservedConcurrentExecutions": limit}}:
                resource["Properties"]["ReservedConcurrentExecutions"] = _with_numbers(limit, numbers)


def _with_numbers(value: Any, numbers: Mapping[str, int]) -> Any:
    match value:
        case {"Ref": str(name)} if name in numbers:
            return numbers[name]
        case dict():
            return {name: _with_numbers(one, numbers) for name, one in value.items()}
        case list():
            return [_with_numbers(one, numbers) for one in value]
    return value


def _routes(body: Mapping[str, Any]) -> dict[str, Any]:
    """The URI of the function behind each route key."""
    routes = {}
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            route_key = path if path == "$default" else f"{verb} {path}"
            routes[route_key] = operation["x-amazon-apigateway-integration"]["uri"]
    return routes


def _integration(api: str, uri: object) -> Template:
    properties = {"IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST", "PayloadFormatVersion": "2.0"}
    return {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": properties | {"ApiId": {"Ref": api}, "IntegrationUri": uri},
    }


def _route(api: str, route_key: str, integration: str) -> Template:
    target = {"Fn::Sub": f"integrations/${{{integration}}}"}
    return {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {"ApiId": {"Ref": api}, "RouteKey": route_key, "Target": target},
    }
