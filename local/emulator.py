"""AWS on loopback: ministack as a child process, and clients that talk to nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from local.process import LOOPBACK, Leashed, Program

REGION = "us-east-1"

_PROJECT = Path(__file__).parents[1]


def session() -> boto3.Session:
    """A session of the emulator's region that knows nothing of the AWS profiles of whoever runs it."""
    unaware = botocore.session.Session(
        session_vars={"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    )
    return boto3.Session(
        botocore_session=unaware,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the emulator takes any)
    )


def client(service: str, url: str) -> Any:
    """A boto3 client of the emulator at this URL. No proxy is asked: none is between this machine and itself."""
    return session().client(service, endpoint_url=url, config=Config(proxies={}))  # type: ignore[call-overload]


class Emulator:
    """Everything it holds is gone when it stops. `port` is its only listener.

    With `enforce_iam`, functions are held to their roles; the clients of `client` may do everything all the same.
    """

    def __init__(
        self, port: int, scratch: Path, log: Path, keep_open: Sequence[int] = (), *, enforce_iam: bool = False
    ) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._port = port
        self._scratch = scratch
        self._log = log
        self._keep_open = keep_open
        self._enforce_iam = enforce_iam
        self._process: Leashed | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    def launch(self) -> None:
        """Starts it, without waiting for it."""
        # ministack 1.5.33 leaves the code of its workers behind.
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        command = [sys.executable, "-m", "local.serve_ministack"]
        self._process = Leashed(
            Program("The AWS emulator", command, self._environment(), self._log, signal.SIGTERM, patience_s=10),
            self._keep_open,
        )

    def wait(self) -> None:
        assert self._process
        self._process.wait_until(self._answers, seconds=60)

    def stop(self) -> None:
        if self._process:
            self._process.stop()
            self._process = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        # Neither somebody's AWS profile, nor a proxy, nor PYTHONDONTWRITEBYTECODE (which triples the time that a
        # worker takes to start) may reach the functions.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PYTHON")) and not name.lower().endswith("_proxy")
        }
        return inherited | {
            "GATEWAY_PORT": str(self._port),
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            # ministack 1.5.33 opens these two listeners unless told not to, the first on all interfaces.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AUTH": "true" if self._enforce_iam else "false",
            "AWS_DEFAULT_REGION": REGION,
            "TMPDIR": str(self._scratch),
            "PYTHONPATH": str(_PROJECT),
        }

    def _answers(self) -> bool:
        connection = HTTPConnection(LOOPBACK, self._port, timeout=1)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
