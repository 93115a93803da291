"""From the SAM template to the emulator: parameters, packaging, routes, and the reason when it fails."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import deploy, template
from local.__main__ import PARAMETERS, settings
from local.process import StackError
from local.stack import TEMPLATE
from local.template import Rendered, check_parameters, render

FIXED = {"DatabaseUrl": "postgresql://postgres@127.0.0.1/postgres", "AwsEndpointUrl": "http://127.0.0.1:4600"}


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return render(TEMPLATE, FIXED)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("RevertRate", "2", "RevertRate is '2', but must be between 0 and 1"),
        ("RevertRate", "often", "RevertRate is 'often', but must be a number"),
        ("MarketSeed", "1.5", "MarketSeed is '1.5', but must be a whole number"),
        ("LandingMinMs", "1e2", "LandingMinMs is '1e2', but must be a whole number"),
        ("RevertRate", "nan", "RevertRate is 'nan', but must be between 0 and 1"),
        ("MarketSeed", "-1", "MarketSeed is '-1', but must be at least 0"),
        ("OrdersPerWorker", "11", "OrdersPerWorker is '11', but must be between 1 and 10"),
        ("FaultPoints", "yes", "FaultPoints is 'yes', but must be one of off, on"),
        ("DatabaseUrl", "mysql://x", "DatabaseUrl is 'mysql://x', but must be empty or a postgresql:// URL"),
        ("LandingMinMs", "5000", "LandingMinMs is 5000, but must not be above LandingMaxMs, which is 3000"),
        ("NoSuch", "1", "The template has no parameter NoSuch"),
    ],
)
def test_a_value_that_the_template_does_not_allow_is_named(name: str, value: str, complaint: str) -> None:
    with pytest.raises(StackError) as error:
        check_parameters(template.read(TEMPLATE), {name: value})

    assert str(error.value) == complaint


def test_every_setting_sets_a_parameter_of_the_template() -> None:
    assert set(PARAMETERS.values()) <= template.read(TEMPLATE)["Parameters"].keys()


def test_settings_that_are_missing_or_empty_leave_the_defaults() -> None:
    chosen = settings({"SEED": "7", "REVERT_RATE": "", "PORT": "4700"})

    assert chosen.parameters == {"MarketSeed": "7"}
    assert (chosen.port, chosen.postgres_port) == (4700, None)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "4600.0"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(StackError, match=f"POSTGRES_PORT is '{port}', but must be a port number"):
        settings({"POSTGRES_PORT": port})


def test_every_request_over_http_is_routed_to_the_function(rendered: Rendered) -> None:
    resources = rendered.body["Resources"]
    (route,) = (each["Properties"] for name, each in resources.items() if name.startswith("HttpApiRoute"))
    (integration,) = (each["Properties"] for name, each in resources.items() if name.startswith("HttpApiIntegration"))

    assert "Body" not in resources["HttpApi"]["Properties"]
    assert route["RouteKey"] == "$default"
    assert "${SubmitOrderAliaslive}" in integration["IntegrationUri"]["Fn::Sub"]


def test_the_ids_of_apis_are_known_before_the_deploy(rendered: Rendered) -> None:
    for name in ("HttpApi", "WebSocketApi"):
        tags = rendered.body["Resources"][name]["Properties"]["Tags"]
        assert tags["ms-custom-id"] == template.api_id(name)


def test_the_layer_has_its_package_where_lambda_looks_for_it(rendered: Rendered) -> None:
    resources = rendered.body["Resources"]
    # SAM appends a hash of its content to a layer's logical id.
    (layer,) = (each["Properties"]["Content"] for name, each in resources.items() if name.startswith("CommonLayer"))
    with zipfile.ZipFile(io.BytesIO(rendered.archives[layer["S3Key"]])) as archive:
        assert "python/order_engine/__init__.py" in archive.namelist()


def test_unchanged_code_makes_unchanged_archives(rendered: Rendered) -> None:
    assert render(TEMPLATE, FIXED) == rendered


def test_a_failed_deploy_names_each_resource_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, rendered: Rendered
) -> None:
    monkeypatch.setattr(deploy, "client", lambda *_: FailingCloudFormation())

    with pytest.raises(StackError) as error:
        deploy.deploy("http://127.0.0.1:4600", rendered, FIXED)

    assert str(error.value).splitlines() == [
        "The deploy ended as ROLLBACK_COMPLETE:",
        "    DatabaseSchema: Postgres is unavailable",
        "    order-engine: no reason given",
    ]


def test_a_deploy_that_does_not_end_names_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, rendered: Rendered
) -> None:
    monkeypatch.setattr(deploy, "client", lambda *_: UnfinishedCloudFormation())
    monkeypatch.setattr(deploy, "_PATIENCE_S", 0)

    with pytest.raises(StackError, match="still waits for DatabaseSchema after 0 s"):
        deploy.deploy("http://127.0.0.1:4600", rendered, FIXED)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Resources: {", "is not readable"),
        ("Resources: {Nameless: {Type: AWS::Serverless::Function, Properties: {Nonsense: 1}}}", r"id \[Nameless\]"),
    ],
)
def test_a_template_that_makes_no_sense_is_said_to(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)

    with pytest.raises(StackError, match=complaint):
        render(path, {})


class FailingCloudFormation:
    """Stands in for S3 as well, which takes everything."""

    exceptions = SimpleNamespace(AlreadyExistsException=KeyError)

    def create_stack(self, **_: object) -> None: ...

    def create_bucket(self, **_: object) -> None: ...

    def put_object(self, **_: object) -> None: ...

    def describe_stacks(self, **_: object) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE"}]}

    def describe_stack_events(self, **_: object) -> dict[str, Any]:
        reason = {"ResourceStatusReason": "Postgres is unavailable"}
        return {
            "StackEvents": [
                {"LogicalResourceId": "OrdersTable", "ResourceStatus": "CREATE_COMPLETE"},
                {"LogicalResourceId": "DatabaseSchema", "ResourceStatus": "CREATE_FAILED"} | reason,
                {"LogicalResourceId": "order-engine", "ResourceStatus": "CREATE_FAILED"},
            ]
        }


class UnfinishedCloudFormation(FailingCloudFormation):
    def describe_stacks(self, **_: object) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": "CREATE_IN_PROGRESS"}]}

    def describe_stack_events(self, **_: object) -> dict[str, Any]:
        names = ["DatabaseSchema", "OrdersTable"]
        return {"StackEvents": [{"LogicalResourceId": name, "ResourceStatus": "CREATE_IN_PROGRESS"} for name in names]}
