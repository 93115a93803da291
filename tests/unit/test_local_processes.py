"""Processes of the local stack: watched while they start, gone when they should be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from local.process import LOOPBACK, Leashed, Program, StackError, free_port, port_for
from local.stack import Stack, StackSettings
from tests.e2e.polling import poll

STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN);"
WAIT = "print('up', flush=True); import threading; threading.Event().wait()"
# Prints the id of a child of its own, which does not end by itself either.
WITH_CHILD = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {STUBBORN + WAIT!r}]).pid);" + WAIT


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "program.log"


def test_a_program_is_asked_to_end_and_does(log: Path) -> None:
    # Patient: what is tested is that it ends by being asked, on a busy machine too, and not how soon.
    process = Leashed(program(f"try:\n {WAIT}\nexcept KeyboardInterrupt:\n print('asked')", log, patience_s=60))
    poll(log.read_text, until=lambda text: "up" in text)

    process.stop()

    assert not process.is_running
    assert log.read_text() == "up\nasked\n"


def test_a_program_that_does_not_listen_is_killed_and_its_children_with_it(log: Path) -> None:
    process = Leashed(program(STUBBORN + WITH_CHILD, log))
    child = child_of(log)

    process.stop()

    poll(lambda: is_alive(child), until=lambda alive: not alive)


def test_a_killed_starter_takes_its_programs_along(log: Path) -> None:
    command = [sys.executable, "-c", WITH_CHILD]
    starter = f"""
import signal
from pathlib import Path
from local.process import Leashed, Program
process = Leashed(Program('A program', {command!r}, {{}}, Path({str(log)!r}), signal.SIGINT, 1))
{WAIT}"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", starter], cwd=root, stdout=subprocess.DEVNULL) as running:
        child = child_of(log)
        running.kill()

    poll(lambda: is_alive(child), until=lambda alive: not alive)


def test_a_program_that_dies_while_starting_is_reported_with_its_last_words(log: Path) -> None:
    process = Leashed(program("raise SystemExit('no such thing')", log))

    with pytest.raises(StackError, match=r"A program ended while starting[\s\S]*no such thing"):
        process.wait_until(lambda: False, seconds=10)


def test_a_program_that_is_never_ready_is_reported(log: Path) -> None:
    process = Leashed(program(WAIT, log))

    with pytest.raises(StackError, match="not ready after 0 s"):
        process.wait_until(lambda: False, seconds=0)

    process.stop()


def test_a_taken_default_port_gives_way_to_a_free_one_and_that_is_said() -> None:
    said: list[str] = []
    with listener() as taken:
        port = port_for("Postgres", None, taken, said.append)

    assert port != taken
    assert said == [f"Port {taken} is taken, so Postgres is on {port}"]


def test_a_free_default_port_is_taken_silently() -> None:
    default = free_port()

    assert port_for("Postgres", None, default, pytest.fail) == default


def test_a_wanted_port_that_is_taken_is_refused() -> None:
    with listener() as taken, pytest.raises(StackError, match=f"Port {taken}, wanted for Postgres, is taken"):
        port_for("Postgres", taken, 1, pytest.fail)


def test_a_second_stack_in_the_same_place_is_refused_naming_the_first(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    lock = f"from pathlib import Path; from local.stack import _lock; file = _lock(Path({str(tmp_path)!r}) / 'lock');"
    with subprocess.Popen([sys.executable, "-c", lock + WAIT], cwd=root, stdout=subprocess.PIPE) as first:
        assert first.stdout
        first.stdout.readline()

        with pytest.raises(StackError, match=rf"already running in {tmp_path} \(process {first.pid}\)"):
            Stack(StackSettings(tmp_path)).__enter__()

        first.kill()


class listener:  # noqa: N801 (read as a word)
    """A port that somebody listens on."""

    def __enter__(self) -> int:
        self._socket = socket.create_server((LOOPBACK, 0))
        return int(self._socket.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def program(code: str, log: Path, *, patience_s: int = 1) -> Program:
    command: Sequence[str] = [sys.executable, "-c", code]
    return Program("A program", command, os.environ, log, signal.SIGINT, patience_s=patience_s)


def child_of(log: Path) -> int:
    """The id of the child that a program wrote to its log, once it is up."""
    lines = poll(lambda: log.read_text().split() if log.exists() else [], until=lambda words: words.count("up") == 2)
    return next(int(word) for word in lines if word != "up")


def is_alive(process: int) -> bool:
    # A killed orphan may remain as a zombie for as long as the init process of a container pleases.
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
