"""Which modules a file names in its import statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def imported_modules(path: Path, packages: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; those of our own package, found in `packages`, exactly."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(level=0, module=str(module), names=names):
                for name in names:
                    member = f"{module}.{name.name}"
                    yield member if source_of(member, packages) else module
            case ast.ImportFrom():
                raise AssertionError(f"{path}: relative import")


def source_of(module: str, packages: Path) -> Path | None:
    """The file of a module of our own package; None for what is none, such as a function."""
    if not module.startswith("order_engine"):
        return None
    path = packages / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)
