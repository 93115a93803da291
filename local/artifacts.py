"""`python -m local.artifacts .aws-sam/build` says how large each thing is that `sam deploy` uploads."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1_000_000


def main(folder: Path) -> int:
    for name, unzipped, zipped in sizes(folder):
        print(f"  {name:<16} {unzipped / MEGABYTE:6.2f} MB, zipped {zipped / MEGABYTE:5.2f} MB")
    return 0


def sizes(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, bytes, and bytes zipped of every layer and function that was built there.

    Lambda takes 250 MB, unzipped, of a function and its layers together.
    """
    for built in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = [path for path in built.rglob("*") if path.is_file()]
        yield built.name, sum(path.stat().st_size for path in files), _zipped(files)


def _zipped(files: list[Path]) -> int:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file)
    return len(data.getvalue())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
