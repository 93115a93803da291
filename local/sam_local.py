"""The same handlers in Lambda's containers, by `sam local`, with the local stack behind them.

    python -m local.sam_local serve            the HTTP API on port 3000, and the stack unless one runs already
    python -m local.sam_local env              for `sam local` by hand: the variables, and the way to the running stack
    python -m local.sam_local invoke F EVENT   one function with one event, against the running stack

All of it needs a Docker engine.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import DockerException

from local.__main__ import port, report, running_stack, settings
from local.demo import show_sample_order
from local.emulator import REGION, client
from local.forwarder import Forwarder
from local.lambda_image import ensure_image
from local.process import LOOPBACK, Leashed, Program, StackError, port_for
from local.stack import PROJECT, TEMPLATE, Endpoints, Stack
from order_client.cli.target import LOCAL_STACK

PORT = 3000
BUILD = PROJECT / ".aws-sam" / "local"
"""Beside the build that `sam deploy` uploads, which may be for another processor."""

VARIABLES = "sam-env.json"

# Where Docker runs in a machine of its own, as on macOS, containers call this one so, and reach its loopback by it.
_THIS_MACHINE = "host.docker.internal"

# SAM CLI takes two seconds or so, and the image and container that the first request needs up to twenty.
_READY_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class SamLocal:
    """`sam local`, told where the build is and where the stack is as a container sees it."""

    template: Path
    variables: Path

    def command(self, *arguments: str) -> list[str]:
        return [
            *(_sam(), "local", *arguments),
            *("--template", str(self.template)),
            *("--env-vars", str(self.variables)),
            *("--parameter-overrides", f"Architecture={architecture()}"),
            # The image is there by then, and SAM would ask for a newer one each time.
            *("--skip-pull-image", "--region", REGION),
        ]


def main(arguments: list[str]) -> int:
    # A shell starts commands in the background deaf to SIGINT; a closed terminal or a `kill` ends them as well.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        match arguments:
            case ["serve"]:
                return serve()
            case ["env"]:
                return env()
            case ["invoke", function, event]:
                return invoke(function, Path(event))
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


def serve() -> int:
    """Until it is told to stop, which is how it ends well."""
    check_docker()
    with ExitStack() as cleanup:
        endpoints, directory = _stack(cleanup)
        api_port = port_for("the HTTP API of `sam local`", port(os.environ, "SAM_PORT"), PORT, report)
        build(BUILD, report)
        sam = cleanup.enter_context(sam_local(endpoints, directory, BUILD, report))
        api = cleanup.enter_context(start_api(sam, api_port, directory / "sam-local.log"))
        report(f"sam local start-api answers on port {api_port}")
        local = replace(endpoints, http=f"http://{LOOPBACK}:{api_port}")
        show_sample_order(local, report)
        print(f"\nReady until Ctrl-C.\n\n  HTTP API    {local.http}/api/orders\n  WebSocket   {local.ws}\n", flush=True)
        while api.is_running:
            time.sleep(0.5)
        raise StackError(f"sam local has ended by itself; its log is {directory / 'sam-local.log'}")


def env() -> int:
    """Until it is told to stop."""
    check_docker()
    with _by_hand() as sam:
        print(f"\n{sam.variables} has what the functions need. Until Ctrl-C containers reach the stack, for example:\n")
        for arguments in (
            ("start-api", "--port", str(PORT)),
            ("invoke", "SubmitOrder", "--event", "events/submit_order/post_order.json"),
        ):
            print(f"  {shlex.join(sam.command(*arguments))}")
        print(flush=True)
        signal.pause()
    return 0


def invoke(function: str, event: Path) -> int:
    """The exit status is SAM CLI's."""
    check_docker()
    with _by_hand() as sam:
        command = sam.command("invoke", function, "--event", str(event))
        return subprocess.run(command, env=environment(), check=False).returncode


def check_docker() -> None:
    """Raises `StackError` when no Docker engine answers."""
    try:
        docker.from_env().ping()
    except DockerException as error:
        raise StackError(f"`sam local` needs a Docker engine, and none answers: {error}") from None


def build(folder: Path, report: Callable[[str], None]) -> None:
    """`sam build` for this machine's processor. Raises `StackError` with what it said when it fails."""
    report("Building the layer and the functions")
    command = [_sam(), "build", "--build-dir", str(folder), "--cache-dir", str(folder.with_suffix(".cache"))]
    process = subprocess.run(
        [*command, "--template", str(TEMPLATE), "--parameter-overrides", f"Architecture={architecture()}"],
        cwd=PROJECT,
        env=environment() | {"ARCHITECTURE": architecture(), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise StackError(f"sam build failed:\n{process.stdout}{process.stderr}")


@contextmanager
def sam_local(endpoints: Endpoints, directory: Path, folder: Path, report: Callable[[str], None]) -> Iterator[SamLocal]:
    """Inside it, containers reach the stack; what they are told of it is in `directory`.

    Raises `StackError` when there is no image for them.
    """
    ensure_image(architecture(), report)
    with reachable(endpoints, _gateway()) as host:
        variables = directory / VARIABLES
        variables.write_text(json.dumps(seen_from(host, deployed_variables(endpoints)), indent=2) + "\n")
        yield SamLocal(folder / "template.yaml", variables)


@contextmanager
def start_api(sam: SamLocal, port: int, log: Path) -> Iterator[Leashed]:
    """The HTTP API on this port of loopback. Raises `StackError` with the end of the log when it does not answer."""
    with _served(sam, "start-api", port, log) as process:
        process.wait_until(lambda: _is_healthy(port), _READY_WITHIN_S)
        yield process


@contextmanager
def start_lambda(sam: SamLocal, port: int, log: Path) -> Iterator[Leashed]:
    """Every function, for clients of Lambda's own API on this port of loopback. Raises as `start_api`."""
    with _served(sam, "start-lambda", port, log) as process:
        process.wait_until(lambda: _is_open(port), _READY_WITHIN_S)
        yield process


@contextmanager
def reachable(endpoints: Endpoints, gateway: str) -> Iterator[str]:
    """Inside it, containers reach by this host what listens on this machine's loopback."""
    with ExitStack() as cleanup:
        host = gateway
        for url in (endpoints.aws, endpoints.postgres):
            number = urlsplit(url).port
            assert number
            try:
                cleanup.enter_context(Forwarder(gateway, number))
            except OSError as error:
                match error.errno:
                    case errno.EADDRNOTAVAIL:
                        host = _THIS_MACHINE
                    case errno.EADDRINUSE:
                        # Another of these commands is at it already.
                        continue
                    case _:
                        raise StackError(f"Containers cannot reach port {number} at {gateway}: {error}") from None
        yield host


def deployed_variables(endpoints: Endpoints) -> dict[str, dict[str, str]]:
    """Function → its variables, as the emulator runs it."""
    functions, formation = client("lambda", endpoints.aws), client("cloudformation", endpoints.aws)
    resources: list[Any] = formation.describe_stack_resources(StackName=LOCAL_STACK)["StackResources"]
    return {
        resource["LogicalResourceId"]: functions.get_function_configuration(
            FunctionName=resource["PhysicalResourceId"]
        )["Environment"]["Variables"]
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def seen_from(host: str, variables: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The same with this machine's loopback by the name that containers have for it."""
    return {
        function: {name: value.replace(LOOPBACK, host) for name, value in values.items()}
        for function, values in variables.items()
    }


def architecture() -> str:
    """This machine's processor, as Lambda calls it."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


def environment() -> dict[str, str]:
    """For SAM CLI, which passes credentials on to the containers: none but those that the emulator takes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    return inherited | credentials | {"SAM_CLI_TELEMETRY": "0"}


@contextmanager
def _by_hand() -> Iterator[SamLocal]:
    """For one command or another against the stack that runs already, with what was built last."""
    directory = settings(os.environ).directory
    endpoints = running_stack(directory)
    if not (BUILD / "template.yaml").exists():
        build(BUILD, report)
    with sam_local(endpoints, directory, BUILD, report) as sam:
        yield sam


@contextmanager
def _served(sam: SamLocal, command: str, port: int, log: Path) -> Iterator[Leashed]:
    log.write_bytes(b"")
    # LAZY makes a container at the first request, and keeps it for the next one, as Lambda does.
    arguments = (command, "--host", LOOPBACK, "--port", str(port), "--warm-containers", "LAZY")
    process = Leashed(
        # SAM removes its containers before it ends.
        Program("sam local", sam.command(*arguments), environment(), log, signal.SIGTERM, patience_s=30)
    )
    try:
        yield process
    finally:
        process.stop()


def _stack(cleanup: ExitStack) -> tuple[Endpoints, Path]:
    """The one that runs, or a new one that ends with `cleanup`."""
    wanted = settings(os.environ)
    try:
        return running_stack(wanted.directory), wanted.directory
    except StackError:
        stack = cleanup.enter_context(Stack(wanted, report))
        return stack.endpoints, stack.directory


def _gateway() -> str:
    """This machine's address in the network that containers are in unless told otherwise."""
    (network, *_) = docker.from_env().networks.get("bridge").attrs["IPAM"]["Config"]
    # Docker 20.10 leaves out the first address of the subnet, which it takes.
    return str(network.get("Gateway") or next(ip_network(network["Subnet"]).hosts()))


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=_READY_WITHIN_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _sam() -> str:
    return str(Path(sys.executable).with_name("sam"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
