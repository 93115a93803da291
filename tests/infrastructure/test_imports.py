"""Arrows point inward: functions → runtime → adapters → service → domain. And a cold start loads only what it uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infrastructure.imports import imported_modules
from tests.infrastructure.stack import FUNCTIONS, LAYER, ROOT, example_environment

PACKAGE = LAYER / "order_engine"

# Lambda's runtime brings the SDK; the rest is in layers/common/requirements.txt.
AWS_SDK = {"boto3", "botocore"}

ALLOWED: dict[str, set[str]] = {
    "domain": {"domain"},
    "service": {"domain", "service"},
    "contracts": {"domain", "contracts", "pydantic", "pydantic_core"},
    "adapters": {"domain", "service", "adapters", "psycopg", *AWS_SDK},
    "runtime": {
        *("domain", "service", "contracts", "adapters", "runtime"),
        *("fastapi", "starlette", "mangum", "pydantic", "pydantic_core", "aws_lambda_powertools"),
        *AWS_SDK,
    },
}
"""What each layer may import besides the standard library: our own layers by name, and packages."""

HEAVY = {"fastapi", "starlette", "mangum", "pydantic", "psycopg", "order_engine.adapters.venues"}
LOADED_AT_START: dict[str, set[str]] = {
    "submit_order": {"fastapi", "starlette", "mangum", "pydantic"},
    "execute_order": {"psycopg", "order_engine.adapters.venues"},
    "ws_connect": set(),
    "ws_notify": set(),
    "watch_orders": set(),
    "migrate_database": {"psycopg"},
}
"""The most that a cold start may load of what is slow to load."""

MODULES = sorted(PACKAGE.rglob("*.py"))
APPS = sorted((ROOT / "functions").glob("*/app.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0]
    allowed = ALLOWED.get(layer, set())
    assert set(_imports(path)) <= allowed


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_function_imports_its_composition_root_what_runs_it_and_nothing_else_of_ours(path: Path) -> None:
    allowed = {f"order_engine.runtime.{module}" for module in (path.parent.name, "event_loop", "snapshot")}
    assert set(imported_modules(path, LAYER)) - sys.stdlib_module_names <= allowed
    assert set(_imports(path)) <= {"runtime"}


def test_every_layer_has_its_rule() -> None:
    layers = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert layers == ALLOWED.keys()


def test_every_function_has_a_folder() -> None:
    assert {path.parent.name for path in APPS} == set(FUNCTIONS.values())


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_cold_start_loads_only_what_the_function_uses(path: Path) -> None:
    loaded = _loaded_by(path.parent)
    assert f"order_engine.runtime.{path.parent.name}" in loaded
    assert loaded & HEAVY <= LOADED_AT_START[path.parent.name]


def _imports(path: Path) -> Iterator[str]:
    """Our own layers by name and foreign packages, without the standard library."""
    for module in imported_modules(path, LAYER):
        first, *rest = module.split(".")
        if first == "order_engine":
            yield rest[0]
        elif first not in sys.stdlib_module_names:
            yield first


def _loaded_by(folder: Path) -> set[str]:
    """The names of all modules that are loaded once the function's app is, in a process of its own."""
    (name,) = (name for name, module in FUNCTIONS.items() if module == folder.name)
    program = "import json, sys, app; print(json.dumps(list(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | example_environment(name) | {"PYTHONPATH": f"{folder}{os.pathsep}{LAYER}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout))
