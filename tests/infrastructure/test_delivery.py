"""What leads from a commit to a stack on AWS: GitHub's workflows, the roles they take on, samconfig.toml, the page."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse

from local.template import check_parameters
from tests.infrastructure.stack import ROOT, SOURCE

GITHUB = ROOT / ".github"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((GITHUB / "workflows").glob("*.yml"))}
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = ("dev", "prod")
PAGE = (ROOT / "docs" / "deploy.md").read_text()

# The prefix of IAM's actions, where it is not the service's name.
PREFIXES = {"apigatewayv2": "apigateway", "serverless": "lambda"}


def steps() -> list[dict[str, Any]]:
    jobs = [job for workflow in WORKFLOWS.values() for job in workflow["jobs"].values()]
    return [*jobs, *(step for job in jobs for step in job.get("steps", []))]


def parameters(environment: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in CONFIG[environment]["deploy"]["parameters"]["parameter_overrides"])


@pytest.mark.parametrize("used", sorted({step["uses"] for step in steps() if "uses" in step}))
def test_actions_are_pinned_by_commit(used: str) -> None:
    assert used.startswith("./") or re.fullmatch(r"[\w.-]+/[\w.-]+@[\da-f]{40}", used)


def test_a_pin_says_which_version_it_is_and_is_the_same_everywhere() -> None:
    text = "".join(path.read_text() for path in (GITHUB / "workflows").glob("*.yml"))
    pins = set(re.findall(r"uses: (\S+)@(\S+)( # v[\d.]+)?", text))
    assert all(version for _, _, version in pins)
    assert len({action for action, _, _ in pins}) == len(pins)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_and_no_job_may_more_than_ask_aws_for_a_role(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    for job, content in WORKFLOWS[name]["jobs"].items():
        asked = content.get("permissions")
        assert asked in (None, {"contents": "read", "id-token": "write"}), job
        # Only what names an environment can take on its role.
        assert (asked is not None) == ("environment" in content), job


def test_nothing_that_others_write_becomes_a_command() -> None:
    """An expression inside `run` is pasted into the shell; only this repository's own matrix may be."""
    pasted = {name for step in steps() for name in re.findall(r"\$\{\{\s*([^}]*?)\s*\}\}", step.get("run", ""))}
    assert {name for name in pasted if not name.startswith("matrix.")} == set()


def test_workflows_call_targets_that_there_are() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    called = {name for step in steps() for name in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert called
    assert called <= targets
    assert any(step.get("run") == ".ci/run" for step in steps())


def test_what_is_deployed_was_checked_and_built_for_the_architecture_that_is_asked_for() -> None:
    deploy = WORKFLOWS["deploy"]["jobs"]["deploy"]
    assert deploy["needs"] == "check"
    (artifact,) = (step["with"]["name"] for step in deploy["steps"] if "download-artifact" in step.get("uses", ""))
    for environment in ENVIRONMENTS:
        assert artifact == f"build-{parameters(environment)['Architecture']}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_has_a_stack_tags_and_parameters_that_the_template_takes(environment: str) -> None:
    check_parameters(SOURCE, parameters(environment))
    assert CONFIG[environment]["global"]["parameters"]["stack_name"] == f"dex-order-engine-{environment}"
    settings = CONFIG[environment]["deploy"]["parameters"]
    assert f"environment={environment}" in settings["tags"]
    assert settings["capabilities"] == "CAPABILITY_IAM"


def test_production_is_not_opened_to_the_world_by_default() -> None:
    assert "OpenToTheWorld" not in parameters("prod")
    assert SOURCE["Parameters"]["OpenToTheWorld"]["Default"] == "off"


def test_the_template_of_the_roles_is_valid() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    process = subprocess.run([linter, GITHUB / "aws-roles.yaml"], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout


def test_cloudformation_may_make_every_kind_of_resource_that_the_template_has() -> None:
    resources = yaml_parse((GITHUB / "aws-roles.yaml").read_text())["Resources"]
    statements = resources["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action.split(":")[0] for statement in statements for action in _listed(statement["Action"])}
    kinds = [resource["Type"].split("::") for resource in SOURCE["Resources"].values()]
    needed = {PREFIXES.get(service.lower(), service.lower()) for owner, service, *_ in kinds if owner == "AWS"}
    assert needed <= allowed


def test_the_page_names_parameters_and_targets_that_there_are() -> None:
    named = set(re.findall(r"`(?:[^`]*\s)?([A-Z]\w+)=", PAGE)) - {"ARCHITECTURE"}
    roles = set(yaml_parse((GITHUB / "aws-roles.yaml").read_text())["Parameters"])
    assert named <= set(SOURCE["Parameters"]) | roles
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    assert set(re.findall(r"(?m)(?:`|^)make ([a-z-]+)", PAGE)) <= targets


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
