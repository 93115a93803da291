"""Options that several commands share, written once as the fields of a dataclass. Typer itself has no such thing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer is to see it: a parameter that is a dataclass is an option for each of its fields."""
    own = inspect.signature(command, eval_str=True)
    kinds: dict[str, Any] = {name: parameter.annotation for name, parameter in own.parameters.items()}
    groups: dict[str, Any] = {name: kind for name, kind in kinds.items() if is_dataclass(kind)}

    @wraps(command)
    def run(**arguments: Any) -> None:
        for name, group in groups.items():
            arguments[name] = group(**{field.name: arguments.pop(field.name) for field in fields(group)})
        command(**arguments)

    shown: list[Parameter] = []
    for name, parameter in own.parameters.items():
        shown += _options(groups[name]) if name in groups else [parameter.replace(kind=Parameter.KEYWORD_ONLY)]
    run.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
    return run


def _options(group: Any) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
