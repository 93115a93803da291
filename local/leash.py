"""Runs a command that ends when its starter does, however that happens.

    python leash.py SIGNAL SECONDS USER COMMAND…

The starter holds the other end of stdin. When nobody holds it any more, by intent or after a kill -9, the command gets
the signal, and SIGKILL if it takes longer than that to end. Once it has ended, so have the processes that it started
in its group. A pipe works on Linux and macOS alike. USER, which may be empty, is who the command runs as. The exit
status is the command's.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main(signal_number: int, seconds: float, user: str, command: list[str]) -> int:
    account = pwd.getpwnam(user) if user else None
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        # Inherited files stay open: one is the lock of the stack, held until the last of its processes is gone.
        close_fds=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        process_group=0,
    )
    threading.Thread(target=_end_with_starter, args=(child, signal_number, seconds), daemon=True).start()
    try:
        return child.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _end_with_starter(child: subprocess.Popen[bytes], signal_number: int, seconds: float) -> None:
    os.read(sys.stdin.fileno(), 1)
    child.send_signal(signal_number)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
