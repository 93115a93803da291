"""The local stack, whole: Postgres and the emulator side by side, and the template deployed to them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from local.deploy import deploy
from local.emulator import REGION, Emulator, client
from local.postgres import Postgres
from local.process import StackError, port_for
from local.template import Rendered, api_id, check_parameters, read, render

PROJECT = Path(__file__).parents[1]
TEMPLATE = PROJECT / "template.yaml"

HTTP_PORT = 4600
POSTGRES_PORT = 5433

# What is left of a stack that was killed is gone by then.
_LEFTOVERS_END_WITHIN_S = 5


@dataclass(frozen=True, slots=True)
class StackSettings:
    """`parameters` are the template's. A port that is None is the default one or, if that is taken, any free one.

    With `enforce_iam`, functions may do what their roles allow and nothing else.
    """

    directory: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    postgres_port: int | None = None
    enforce_iam: bool = False


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to reach the stack. `http` is the API's base URL, `ws` the WebSocket's, `aws` the emulator's."""

    http: str
    ws: str
    aws: str
    postgres: str
    region: str = REGION


class Stack:
    """Running inside a `with`, stopped after it, whatever happens in between.

    `report` is told what is going on. Raises `StackError` with a sentence for whoever runs it.
    """

    endpoints: Endpoints
    emulator: Emulator
    postgres: Postgres
    outputs: Mapping[str, str]
    template = TEMPLATE
    """What `deploy` deploys, with the code beside it."""

    def __init__(self, settings: StackSettings, report: Callable[[str], None] = print) -> None:
        self._settings = settings
        self._report = report
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        # Whatever stops a start half way, an interrupt too, stops what has been started.
        with self._cleanup:
            self._start()
            self._cleanup = self._cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def directory(self) -> Path:
        return self._settings.directory

    @property
    def stopped_part(self) -> str | None:
        """The part that ended by itself, if any."""
        parts: dict[str, Emulator | Postgres] = {"The AWS emulator": self.emulator, "Postgres": self.postgres}
        return next((name for name, part in parts.items() if not part.is_running), None)

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return client(service, self.emulator.url)

    def deploy(self, **changes: str) -> None:
        """Deploys the template, with these parameters changed from those of the settings."""
        parameters = {
            **self._settings.parameters,
            "DatabaseUrl": self.endpoints.postgres,
            "WebSocketEndpoint": _api_url("http", self.endpoints.aws, "WebSocketApi") + "/live",
            "AwsEndpointUrl": self.endpoints.aws,
            # Nothing of it outlives the emulator anyway.
            "ProtectData": "off",
            **changes,
        }
        rendered = self.render(parameters)
        self.postgres.wait()
        self.emulator.wait()
        self.outputs = deploy(self.emulator.url, rendered, parameters)

    def render(self, parameters: Mapping[str, str]) -> Rendered:
        """The template in the form that the emulator takes."""
        return render(self.template, parameters)

    def _start(self) -> None:
        settings = self._settings
        check_parameters(read(self.template), settings.parameters)
        settings.directory.mkdir(parents=True, exist_ok=True)
        lock = self._cleanup.enter_context(_lock(settings.directory / "lock"))
        port = port_for("the AWS emulator", settings.port, HTTP_PORT, self._report)
        postgres_port = port_for("Postgres", settings.postgres_port, POSTGRES_PORT, self._report)
        logs = {name: settings.directory / f"{name}.log" for name in ("emulator", "postgres")}
        for log in logs.values():
            log.write_bytes(b"")

        self._report("Starting the AWS emulator and Postgres")
        self.emulator = Emulator(
            port, settings.directory / "tmp", logs["emulator"], [lock.fileno()], enforce_iam=settings.enforce_iam
        )
        self._cleanup.callback(self.emulator.stop)
        self.emulator.launch()
        # The emulator starts empty, and a history of orders that nobody else knows would contradict it.
        shutil.rmtree(settings.directory / "postgres", ignore_errors=True)
        self.postgres = Postgres(settings.directory / "postgres", postgres_port, logs["postgres"], [lock.fileno()])
        self._cleanup.callback(self.postgres.stop)
        self.postgres.launch()

        self.endpoints = Endpoints(
            http=_api_url("http", self.emulator.url, "HttpApi"),
            ws=_api_url("ws", self.emulator.url, "WebSocketApi") + "/live",
            aws=self.emulator.url,
            postgres=self.postgres.url,
        )
        self._report(f"Deploying {self.template.name}")
        self.deploy()
        endpoints = settings.directory / "endpoints.json"
        self._cleanup.callback(endpoints.unlink, missing_ok=True)
        endpoints.write_text(json.dumps(asdict(self.endpoints), indent=2) + "\n")


def _api_url(scheme: str, emulator: str, logical_id: str) -> str:
    # In path form, as names below localhost do not resolve everywhere.
    return f"{scheme}://{emulator.removeprefix('http://')}/_aws/execute-api/{api_id(logical_id)}"


def _lock(path: Path) -> IO[str]:
    """An open file, locked until this process and every one that inherits it are gone."""
    file = path.open("a+")
    deadline = time.monotonic() + _LEFTOVERS_END_WITHIN_S
    while not _is_locked_now(file):
        file.seek(0)
        owner = file.read()
        if _is_alive(owner) or time.monotonic() > deadline:
            raise StackError(f"A stack is already running in {path.parent} (process {owner}). Stop it first.")
        time.sleep(0.05)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _is_locked_now(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        # Somebody else's.
        return True
    return True
