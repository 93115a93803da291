"""The dashboard's files: `index.html` in one folder, and what it loads in `assets` below it."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from order_engine.runtime.javascript import joined

PAGE = "index.html"

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""By suffix. A file of any other kind is not given out."""

_COMPRESSIBLE = frozenset({".html", ".css", ".js", ".svg"})


class Asset:
    """One file, read when it is first given out; a script with all that it imports."""

    def __init__(self, path: Path) -> None:
        self.content_type = KINDS[path.suffix]
        self._path = path

    def encoded(self, *, accepts_gzip: bool) -> Encoded:
        if accepts_gzip and self._path.suffix in _COMPRESSIBLE:
            return self._compressed
        return self._plain

    @cached_property
    def _plain(self) -> Encoded:
        content = joined(self._path).encode() if self._path.suffix == ".js" else self._path.read_bytes()
        return Encoded(content, f'"{sha256(content).hexdigest()[:32]}"')

    @cached_property
    def _compressed(self) -> Encoded:
        plain = self._plain
        # Another sequence of bytes, so another strong tag.
        tag = f'{plain.tag[:-1]}-gzip"'
        return Encoded(gzip.compress(plain.content, mtime=0), tag, "gzip")


@dataclass(frozen=True, slots=True)
class Encoded:
    content: bytes
    tag: str
    """A strong entity tag, quotes included."""
    encoding: str | None = None


class Dashboard:
    """Nothing is read before it is asked for, so that a cold start pays for none of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def page(self) -> Asset | None:
        return self._pages.get(PAGE)

    def asset(self, name: str) -> Asset | None:
        """What the page loads by this name: a file of `assets` itself, and nothing that a path could lead to."""
        return self._assets.get(name)

    @cached_property
    def _pages(self) -> Mapping[str, Asset]:
        return _files(self._folder)

    @cached_property
    def _assets(self) -> Mapping[str, Asset]:
        return _files(self._folder / "assets")


def _files(folder: Path) -> dict[str, Asset]:
    return {path.name: Asset(path) for path in folder.glob("*") if path.suffix in KINDS and path.is_file()}
