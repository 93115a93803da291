"""Which engine a command is about: the one that `make run` keeps here, or any other."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from order_client.cli.aws import Aws

LOCAL_STACK = "order-engine"
URL_VARIABLE = "ORDERS_URL"


class NoTarget(Exception):
    """A sentence that says why there is no engine to ask, and what to do about it."""


@dataclass(frozen=True, slots=True)
class StackName:
    """A CloudFormation stack, in the environment's account; `emulator` is the URL of what answers instead of AWS."""

    name: str
    region: str | None = None
    emulator: str | None = None

    def find(self) -> Aws:
        """Raises `NoTarget`."""
        from order_client.cli.aws import find_stack  # noqa: PLC0415 (it takes as long to load as all the rest)

        return find_stack(self)


@dataclass(frozen=True, slots=True)
class Target:
    """`stack` is needed for what the API does not show. Without `web_socket_url`, the engine says where that is."""

    url: str
    web_socket_url: str | None = None
    stack: StackName | None = None


def find_target(url: str | None = None, stack: str | None = None, profile: str | None = None) -> Target:
    """What is named wins over what a profile says, and that over the environment. Raises `NoTarget`."""
    if url is None and stack is None and profile is None:
        url = os.environ.get(URL_VARIABLE) or None
        if url is None:
            return _local()
    settings = {} if profile is None else _profile(profile)
    name = stack or settings.get("stack")
    named = StackName(name, settings.get("region")) if name else None
    known_url = url or (None if stack else settings.get("url"))
    if known_url is not None:
        return Target(known_url, None, named)
    if named is None:
        raise NoTarget(f"The profile {profile} has neither url nor stack")
    outputs = named.find().outputs
    return Target(outputs["HttpUrl"], outputs["WebSocketUrl"], named)


def profiles_path() -> Path:
    """Where this platform keeps configurations: ~/.config/orders/config.toml on Linux."""
    from typer import get_app_dir  # noqa: PLC0415 (not for whoever wants a name from here only)

    return Path(get_app_dir("orders")) / "config.toml"


def profiles() -> Mapping[str, Mapping[str, Any]]:
    """By name; none where there is no file. Raises `NoTarget`."""
    path = profiles_path()
    try:
        found = tomllib.loads(path.read_text()).get("profiles", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NoTarget(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(settings, dict) for settings in found.values()):
        raise NoTarget(f"{path} has no tables such as [profiles.staging]")
    return found


def _profile(name: str) -> dict[str, str]:
    known = profiles()
    if name not in known:
        names = ", ".join(known) or "none"
        raise NoTarget(f"There is no profile {name} in {profiles_path()}; there is: {names}")
    settings = dict(known[name])
    wrong = [key for key, value in settings.items() if key not in ("url", "stack", "region") or type(value) is not str]
    if wrong:
        raise NoTarget(f"The profile {name} may have url, stack and region, each a text; not {', '.join(wrong)}")
    return settings


def _local() -> Target:
    """Of the folder that one is in, or of the nearest one above it that keeps a stack."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        try:
            known = json.loads((folder / ".local" / "endpoints.json").read_text())
        except OSError:
            continue
        return Target(known["http"], known["ws"], StackName(LOCAL_STACK, known["region"], known["aws"]))
    raise NoTarget(
        "No local stack is running here: `make run` starts one; "
        f"--url, --profile, --stack or {URL_VARIABLE} name one elsewhere"
    )
