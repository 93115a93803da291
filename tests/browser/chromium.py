"""The browser that the dashboard is tested in: any Chromium that this machine has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")

ADVICE = (
    "The dashboard's tests need a Chromium: apt-get install -y chromium, or .venv/bin/playwright install chromium,"
    " or CHROMIUM=/path/to/one"
)

# It speaks to nobody but the stack, and draws without a graphics card.
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium(playwright: Playwright) -> str | None:
    """The path of the one that CHROMIUM names, that is installed, or that Playwright has brought; else None."""
    own = playwright.chromium.executable_path
    installed = filter(None, map(shutil.which, COMMANDS))
    return os.environ.get("CHROMIUM") or next(installed, own if Path(own).exists() else None)


def launch(playwright: Playwright, path: str) -> Browser:
    # Its sandbox refuses to run as root.
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    return playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS, *sandbox])
