"""The image that `sam local` runs functions in: Lambda's own, or where no registry can be reached, a stand-in for it.

The stand-in is this machine's Python 3.13 and system libraries, with what Lambda's image adds: its runtime client,
boto3 and the start script. It shows that the functions, their layer and their settings work under SAM CLI's emulation;
that their compiled modules fit Amazon Linux, it cannot show.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
from docker.errors import DockerException, ImageNotFound

from local.process import StackError

VERSION = "3.13"
REPOSITORY = "public.ecr.aws/lambda/python"

# What the image of Lambda's has beside Python. The SDK's version is not pinned there either.
RUNTIME = ("awslambdaric==4.2.2", "boto3")

# What SAM CLI's own layer on top of the image, and the start script, call.
_PROGRAMS = ("sh", "cat", "chmod", "chown", "cp", "env", "ln", "ls", "mkdir", "mv", "rm")
# Wheels may lean on these without bringing them.
_LIBRARIES = ("libgcc_s.so.1", "libstdc++.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1")
_NAMES = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
_NOT_NEEDED = ("__pycache__", "site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "config-*")

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsbx_user1051:x:993:990::/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "var/runtime/bootstrap": (
        "#!/bin/sh\n"
        f"export AWS_EXECUTION_ENV=AWS_Lambda_python{VERSION}\n"
        "export PYTHONPATH=$LAMBDA_TASK_ROOT:/opt/python:$LAMBDA_RUNTIME_DIR\n"
        'exec /var/lang/bin/python3 -m awslambdaric "$_HANDLER"\n'
    ),
    "lambda-entrypoint.sh": (
        '#!/bin/sh\nexport _HANDLER="$1"\nexec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap\n'
    ),
}
_SETTINGS = (
    "ENV LANG=en_US.UTF-8 TZ=UTC PATH=/var/lang/bin:/usr/bin:/bin",
    "ENV LD_LIBRARY_PATH=/var/lang/lib:/var/task/lib:/opt/lib",
    "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
    "WORKDIR /var/task",
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
)


def ensure_image(architecture: str, report: Callable[[str], None]) -> None:
    """Raises `StackError` when there is no image, none can be fetched, and no stand-in can be made."""
    engine, tag = docker.from_env(), f"{VERSION}-{architecture}"
    try:
        engine.images.get(f"{REPOSITORY}:{tag}")
        return
    except ImageNotFound:
        report(f"Fetching Lambda's image {REPOSITORY}:{tag}")
    try:
        engine.images.pull(REPOSITORY, tag)
        return
    except DockerException as error:
        report(f"It cannot be had ({str(error)[:80]}…): a stand-in is made of this machine's Python")
    with TemporaryDirectory() as scratch:
        root, archive = Path(scratch, "root"), Path(scratch, "root.tar")
        _fill(root, python_of_lambda())
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".", filter=_owned_by_root)
        engine.api.import_image(str(archive), repository=REPOSITORY, tag=tag, changes=list(_SETTINGS))


def python_of_lambda() -> str:
    """An interpreter of Lambda's version on this machine. Raises `StackError` when there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(str(path) for path in pyenv.glob(f"versions/{VERSION}*/bin/python{VERSION}"))
    candidates = [sys.executable, *installed, shutil.which(f"python{VERSION}")]
    program = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{VERSION}')"
    for python in filter(None, candidates):
        # A version manager may have left a placeholder that runs nothing.
        if subprocess.run([python, "-c", program], capture_output=True, check=False).returncode == 0:
            return python
    raise StackError(f"There is no python{VERSION} on this machine to make a stand-in for Lambda's image of")


def _fill(root: Path, python: str) -> None:
    for folder in ("tmp", "opt", "var/task", "var/rapid", "var/lang/bin", "usr/local/bin", "usr/bin", "dev", "proc"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "bin").symlink_to("usr/bin")
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for script in ("var/runtime/bootstrap", "lambda-entrypoint.sh"):
        (root / script).chmod(0o755)

    prefix = Path(_said([python, "-c", "import sys; print(sys.base_prefix)"]).strip())
    library = root / "var/lang/lib" / f"python{VERSION}"
    shutil.copytree(prefix / "lib" / library.name, library, ignore=shutil.ignore_patterns(*_NOT_NEEDED))
    shutil.copy(prefix / "bin" / library.name, root / "var/lang/bin")
    for name in ("python3", "python"):
        (root / "var/lang/bin" / name).symlink_to(library.name)
    packages = library / "site-packages"
    _said([python, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(packages), *RUNTIME])
    # Only the container's own Python could compile it otherwise, at each start.
    _said([python, "-m", "compileall", "-q", "-j", "0", "-s", str(root), str(library)], may_fail=True)

    programs = [Path(path) for name in _PROGRAMS if (path := shutil.which(name))]
    for program in programs:
        shutil.copy(program, root / "usr/bin")
    modules = library.glob("lib-dynload/*.so")
    for file in _libraries([*programs, root / "var/lang/bin" / library.name, *modules]):
        (root / file.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / file.relative_to("/"))


def _libraries(files: Iterable[Path]) -> set[Path]:
    """Every library that these are linked with, by the path at which the loader looks for it."""
    listed = "".join(_said(["ldd", str(file)], may_fail=True) for file in files)
    found = {Path(path) for path in re.findall(r"(?m)(?:=> |^\s)(/\S+) \(0x", listed)}
    libc = next(path.parent for path in found if path.name == "libc.so.6")
    return found | {path for name in (*_LIBRARIES, *_NAMES) if (path := libc / name).exists()}


def _said(command: list[str], *, may_fail: bool = False) -> str:
    """What it printed. Raises `StackError` with what it complained about."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode and not may_fail:
        raise StackError(f"{command[0]} failed while Lambda's image was made:\n{process.stderr}")
    return process.stdout


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
