"""Pages and what they load, out of folders: the dashboard, and the API's documentation."""

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
    """One file, read when it is first given out; a script with all that it imports.

    What somebody else has made lies here compressed (.gz), and is a whole as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_packed = path.suffix == ".gz"
        self.name = path.stem if self._is_packed else path.name
        self._suffix = Path(self.name).suffix
        self.content_type = KINDS.get(self._suffix, "")

    def encoded(self, *, accepts_gzip: bool) -> Encoded:
        if accepts_gzip and self._suffix in _COMPRESSIBLE:
            return self._compressed
        return self._plain

    @cached_property
    def _plain(self) -> Encoded:
        content = self._content()
        return Encoded(content, f'"{sha256(content).hexdigest()[:32]}"')

    def _content(self) -> bytes:
        if self._is_packed:
            return gzip.decompress(self._path.read_bytes())
        return joined(self._path).encode() if self._suffix == ".js" else self._path.read_bytes()

    @cached_property
    def _compressed(self) -> Encoded:
        plain = self._plain
        # Another sequence of bytes, so another strong tag.
        tag = f'{plain.tag[:-1]}-gzip"'
        packed = self._path.read_bytes() if self._is_packed else gzip.compress(plain.content, mtime=0)
        return Encoded(packed, tag, "gzip")


@dataclass(frozen=True, slots=True)
class Encoded:
    content: bytes
    tag: str
    """A strong entity tag, quotes included."""
    encoding: str | None = None


class Site:
    """A page, `index.html` in its folder, and the files that it loads, in another.

    Nothing is read before it is asked for, so that a cold start pays for none of it.
    """

    def __init__(self, folder: Path, assets: Path) -> None:
        self._folder = folder
        self._assets_folder = assets

    @property
    def page(self) -> Asset | None:
        return self._pages.get(PAGE)

    def asset(self, name: str) -> Asset | None:
        """What the page loads by this name: a file of the folder itself, and nothing that a path could lead to."""
        return None if name == PAGE else self._assets.get(name)

    @cached_property
    def _pages(self) -> Mapping[str, Asset]:
        return _files(self._folder)

    @cached_property
    def _assets(self) -> Mapping[str, Asset]:
        return _files(self._assets_folder)


def dashboard(folder: Path) -> Site:
    return Site(folder, folder / "assets")


def documentation(folder: Path) -> Site:
    return Site(folder, folder)


def _files(folder: Path) -> dict[str, Asset]:
    files = (Asset(path) for path in folder.glob("*") if path.is_file())
    return {file.name: file for file in files if file.content_type}
