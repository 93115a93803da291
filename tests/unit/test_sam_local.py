"""What leads containers to the local stack, without any container."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from local.forwarder import Forwarder
from local.lambda_image import python_of_lambda
from local.process import LOOPBACK, StackError
from local.sam_local import SamLocal, reachable, seen_from
from local.stack import Endpoints

# Linux takes all of 127.0.0.0/8 for itself, so this stands for the address of a bridge.
BRIDGE = "127.0.0.2"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second loopback address unasked")


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a service on loopback that sends back what it gets, and ends when its client does."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

        Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_what_is_said_at_the_bridge_is_heard_on_loopback_and_answered(echo: int) -> None:
    said = b"x" * 1_000_000
    with Forwarder(BRIDGE, echo), socket.create_connection((BRIDGE, echo), timeout=10) as client:
        Thread(target=_say, args=(client, said), daemon=True).start()
        assert _all_of(client) == said


def test_with_nobody_on_loopback_a_connection_ends_at_once() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    with Forwarder(BRIDGE, port), socket.create_connection((BRIDGE, port), timeout=10) as client:
        assert _all_of(client) == b""


def test_a_forwarder_that_has_ended_takes_no_connection() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with Forwarder(BRIDGE, port):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((BRIDGE, port), timeout=10)


def test_an_address_that_is_not_this_machines_is_refused() -> None:
    """Where Docker runs in a machine of its own, its bridge is there, not here."""
    with pytest.raises(OSError, match="assign"):
        Forwarder("192.0.2.1", 4600)


def test_containers_come_by_the_bridge_and_two_commands_share_it(echo: int) -> None:
    endpoints = _endpoints(echo)
    with reachable(endpoints, BRIDGE) as host, reachable(endpoints, BRIDGE) as again:
        assert (host, again) == (BRIDGE, BRIDGE)
        with socket.create_connection((BRIDGE, echo), timeout=10) as client:
            _say(client, b"both")
            assert _all_of(client) == b"both"


def test_containers_in_a_machine_of_their_own_have_a_name_for_this_one(echo: int) -> None:
    with reachable(_endpoints(echo), "192.0.2.1") as host:
        assert host == "host.docker.internal"


def test_containers_are_told_the_same_with_another_host() -> None:
    variables = {
        "SubmitOrder": {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4600",
            "DATABASE_URL": "postgresql://postgres@127.0.0.1:5433/postgres",
            "ORDERS_TABLE": "orders",
        }
    }
    assert seen_from("172.17.0.1", variables) == {
        "SubmitOrder": {
            "AWS_ENDPOINT_URL": "http://172.17.0.1:4600",
            "DATABASE_URL": "postgresql://postgres@172.17.0.1:5433/postgres",
            "ORDERS_TABLE": "orders",
        }
    }


def test_a_command_names_the_build_the_variables_and_this_machines_processor() -> None:
    command = SamLocal(Path("built/template.yaml"), Path("sam-env.json")).command("invoke", "SubmitOrder")
    assert command[1:4] == ["local", "invoke", "SubmitOrder"]
    pairs = dict(pairwise(command[4:]))
    assert pairs["--template"] == "built/template.yaml"
    assert pairs["--env-vars"] == "sam-env.json"
    assert pairs["--parameter-overrides"] in {"Architecture=x86_64", "Architecture=arm64"}


def test_a_machine_without_lambdas_python_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    placeholder = tmp_path / "python3.13"
    placeholder.write_text("#!/bin/sh\nexit 127\n")
    placeholder.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(placeholder))
    with pytest.raises(StackError, match=r"no python3\.13 on this machine"):
        python_of_lambda()


def _endpoints(port: int) -> Endpoints:
    return Endpoints(
        http="", ws="", aws=f"http://{LOOPBACK}:{port}", postgres=f"postgresql://postgres@{LOOPBACK}:{port}/postgres"
    )


def _say(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def _all_of(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received
