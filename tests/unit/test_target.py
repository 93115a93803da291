"""Which engine a command is about, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.process import free_port
from order_client.cli.target import NoTarget, StackName, Target, find_target, profiles_path

LOCAL = {"http": "http://127.0.0.1:4600/x", "ws": "ws://127.0.0.1:4600/y", "aws": "http://127.0.0.1:4600"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, with nothing in it and nothing in the environment."""
    monkeypatch.delenv("ORDERS_URL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keep_a_stack(folder: Path) -> None:
    (folder / ".local").mkdir()
    (folder / ".local" / "endpoints.json").write_text(json.dumps({**LOCAL, "region": "us-east-1", "postgres": ""}))


def configure(text: str) -> None:
    profiles_path().parent.mkdir(parents=True)
    profiles_path().write_text(text)


def test_without_a_local_stack_it_says_how_to_start_one() -> None:
    with pytest.raises(NoTarget, match="make run"):
        find_target()


def test_the_local_stack_is_found_from_any_folder_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_a_stack(folder)
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    stack = StackName("order-engine", "us-east-1", LOCAL["aws"])
    assert find_target() == Target(LOCAL["http"], LOCAL["ws"], stack)


def test_what_is_named_wins_over_the_environment_and_that_over_the_local_stack(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_a_stack(folder)
    monkeypatch.setenv("ORDERS_URL", "https://environment.test")
    assert find_target() == Target("https://environment.test")
    assert find_target(url="https://named.test") == Target("https://named.test")
    assert find_target(url="https://named.test", stack="production").stack == StackName("production")


def test_a_profile_says_where_an_engine_is() -> None:
    configure('[profiles.staging]\nurl = "https://staging.test"\nstack = "orders-staging"\nregion = "eu-central-1"\n')
    assert find_target(profile="staging") == Target(
        "https://staging.test", None, StackName("orders-staging", "eu-central-1")
    )
    assert find_target(url="https://other.test", profile="staging").url == "https://other.test"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[profiles.other]\nurl = "https://x"', "no profile staging in .*config.toml; there is: other"),
        ("", "there is: none"),
        ("[profiles", "cannot be read"),
        ("profiles = 5", r"has no tables such as \[profiles.staging\]"),
        ('[profiles.staging]\nurl = 5\ncolour = "red"', "not url, colour"),
        ('[profiles.staging]\nregion = "eu-central-1"', "neither url nor stack"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(text: str, complaint: str) -> None:
    configure(text)
    with pytest.raises(NoTarget, match=complaint):
        find_target(profile="staging")


def test_a_profile_without_a_file_is_said_not_to_be_there() -> None:
    with pytest.raises(NoTarget, match="there is: none"):
        find_target(profile="staging")


def test_a_local_stack_that_was_killed_is_said_not_to_answer() -> None:
    stack = StackName("order-engine", "us-east-1", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NoTarget, match="The stack order-engine cannot be asked"):
        stack.find()


def test_a_stack_without_a_region_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch, aws_credentials: None) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(NoTarget, match="specify a region"):
        find_target(stack="production")
