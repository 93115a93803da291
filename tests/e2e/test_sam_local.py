"""The same handlers in Lambda's containers, by SAM CLI's own emulation, with the local stack behind them.

Needs a Docker engine. The image is Lambda's own where a registry answers, else a stand-in of this machine's Python.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.demo import show_sample_order
from local.lambda_image import ensure_image
from local.process import LOOPBACK, StackError, free_port
from local.sam_local import SamLocal, architecture, build, check_docker, environment, sam_local, start_api, start_lambda
from local.stack import Stack
from tests.e2e.conftest import PARAMETERS
from tests.e2e.stacks import running_stack
from tests.infrastructure.stack import FUNCTIONS, ROOT

EVENTS = ROOT / "events"

ALL_DONE: dict[str, Any] = {"batchItemFailures": []}
OK = {"statusCode": 200}

# In the order in which they make sense: the others are about the order that is posted first.
ANSWERS: dict[str, Callable[[Any], bool]] = {
    "migrate_database/create": lambda answer: answer is None,
    "submit_order/post_order": lambda answer: answer["statusCode"] == 202,
    "submit_order/get_order": lambda answer: answer["statusCode"] == 200,
    "submit_order/list_orders": lambda answer: answer["statusCode"] == 200,
    "submit_order/post_quote": lambda answer: answer["statusCode"] == 200,
    "submit_order/health": lambda answer: json.loads(answer["body"])["status"] == "ok",
    "execute_order/order_message": lambda answer: answer == ALL_DONE,
    "ws_connect/connect": lambda answer: answer == OK,
    "ws_connect/subscribe": lambda answer: answer == OK,
    "ws_connect/submit": lambda answer: answer == OK,
    "ws_connect/ping": lambda answer: answer == OK,
    "ws_notify/replay": lambda answer: answer == ALL_DONE,
    "ws_notify/status": lambda answer: answer == ALL_DONE,
    "ws_connect/disconnect": lambda answer: answer == OK,
    "watch_orders/every_minute": lambda answer: answer["is_complete"] is True,
}


@pytest.fixture(scope="module")
def stack_behind() -> Iterator[Stack]:
    """Not held to roles: containers come with other credentials than the workers of the emulator."""
    try:
        check_docker()
        ensure_image(architecture(), print)
    except StackError as error:
        pytest.skip(str(error))
    with running_stack("sam-local", PARAMETERS, enforce_iam=False) as stack:
        yield stack


@pytest.fixture(scope="module")
def sam(stack_behind: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamLocal]:
    folder = tmp_path_factory.mktemp("sam") / "build"
    build(folder, print)
    with sam_local(stack_behind.endpoints, stack_behind.directory, folder, print) as sam:
        yield sam


def test_every_sample_event_has_its_answer_here() -> None:
    assert set(ANSWERS) == {f"{path.parent.name}/{path.stem}" for path in EVENTS.glob("*/*.json")}


def test_an_order_posted_to_sam_local_is_executed_and_pushed(
    sam: SamLocal, stack_behind: Stack, tmp_path: Path
) -> None:
    port = free_port()
    told: list[str] = []
    with start_api(sam, port, tmp_path / "api.log"):
        show_sample_order(replace(stack_behind.endpoints, http=f"http://{LOOPBACK}:{port}"), told.append)
    assert "confirmed" in told[-1], told
    assert "POST /api/orders" in (tmp_path / "api.log").read_text()


def test_every_function_takes_every_sample_event(sam: SamLocal, tmp_path: Path) -> None:
    port = free_port()
    functions = {folder: name for name, folder in FUNCTIONS.items()}
    with start_lambda(sam, port, tmp_path / "lambda.log"):
        client = boto3.client(
            "lambda",
            endpoint_url=f"http://{LOOPBACK}:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(read_timeout=60, retries={"max_attempts": 0}, proxies={}),
        )
        for name, fits in ANSWERS.items():
            event = (EVENTS / f"{name}.json").read_bytes()
            response = client.invoke(FunctionName=functions[name.split("/")[0]], Payload=event)
            answer = json.loads(response["Payload"].read() or "null")
            assert "FunctionError" not in response, (name, answer)
            assert fits(answer), (name, answer)


def test_a_function_is_invoked_from_the_command_line(sam: SamLocal) -> None:
    event = EVENTS / "submit_order" / "health.json"
    process = subprocess.run(
        sam.command("invoke", "SubmitOrder", "--event", str(event)),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(json.loads(process.stdout)["body"])["status"] == "ok"
