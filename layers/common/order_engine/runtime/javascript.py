"""ES modules as one script: a page that loads one file instead of two dozen asks for one invocation of a function."""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{(?P<names>[^}]*)\} from "\./(?P<file>[\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (?P<name>\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def joined(entry: Path) -> str:
    """A module and what it imports from its own folder, each in a scope of its own and after what it imports.

    Modules are written as `import { name } from "./file.js";`, `export function`, `export const` and `export class`.
    Raises `ValueError` for other ways, and for modules that import each other. A script without imports stays as it is.
    """
    parts: dict[str, str] = {}
    _add(entry, parts, importing=())
    return "".join(parts.values()) if len(parts) > 1 else entry.read_text()


def _add(path: Path, parts: dict[str, str], importing: tuple[str, ...]) -> None:
    if path.name in importing:
        raise ValueError(f"{' imports '.join((*importing, path.name))}")
    source = path.read_text()
    for file in _IMPORT.finditer(source):
        if file["file"] not in parts:
            _add(path.with_name(file["file"]), parts, (*importing, path.name))
    names = [export["name"] for export in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(_taken, source))
    if other := _OTHER.search(body):
        raise ValueError(f"{path.name} cannot be joined to others: {other[0]}")
    parts[path.name] = f"const {_scope(path.name)} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


def _taken(wanted: re.Match[str]) -> str:
    """The import's names, from the scope of the module that exports them."""
    return f"const {{{wanted['names'].replace(' as ', ': ')}}} = {_scope(wanted['file'])};\n"


def _scope(file: str) -> str:
    return "$" + Path(file).stem.replace("-", "_")
