"""`sam build` on this machine's Python gives what Lambda's Python can run: nothing is missing, nothing is foreign."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local import artifacts
from tests.infrastructure.imports import imported_modules, source_of
from tests.infrastructure.stack import FUNCTIONS, LAYER, ROOT, SOURCE, example_environment

RUNTIME = SOURCE["Globals"]["Function"]["Runtime"].removeprefix("python")
ARCHITECTURES = SOURCE["Parameters"]["Architecture"]["AllowedValues"]
# Of the build for which nothing is said; this machine's, as a rule.
ARCHITECTURE = SOURCE["Parameters"]["Architecture"]["Default"]
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""As Linux and the wheels call them."""

BROUGHT_BY_LAMBDA = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")

MEGABYTE = 1_000_000


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes where no python3.13 is found, inside or outside of a virtual environment."""
    folder = tmp_path_factory.mktemp("build")
    decoy = folder / "bin" / f"python{RUNTIME}"
    decoy.parent.mkdir()
    decoy.write_text("#!/bin/sh\necho 'must not be needed' >&2\nexit 1\n")
    decoy.chmod(0o755)
    own = Path(sys.executable).parent
    # PYTHON: the tests may run in another environment than the project's own.
    environment = {
        **os.environ,
        "PATH": f"{decoy.parent}{os.pathsep}{own}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "COMPILER": _python_of_lambda() or "",
        "SAM_CLI_TELEMETRY": "0",
    }
    process = subprocess.run(
        [own / "sam", "build", "--build-dir", folder / "build", "--cache-dir", folder / "cache"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return folder / "build"


@pytest.fixture(scope="session")
def packages(built: Path) -> Path:
    """The layer as Lambda puts it on the path."""
    return built / "CommonLayer" / "python"


@pytest.fixture(scope="session", params=ARCHITECTURES)
def layer(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An architecture, and the layer that is built for it."""
    if request.param == ARCHITECTURE:
        return request.param, built / "CommonLayer" / "python"
    folder = tmp_path_factory.mktemp(request.param)
    variables = {"ARTIFACTS_DIR": str(folder), "ARCHITECTURE": request.param, "PYTHON": sys.executable}
    variables["COMPILER"] = _python_of_lambda() or ""
    command = ["make", "-s", "build-CommonLayer", *(f"{name}={value}" for name, value in variables.items())]
    process = subprocess.run(command, cwd=LAYER, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return request.param, folder / "python"


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Lambda's runtime brings, and nothing else of this environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for package in BROUGHT_BY_LAMBDA:
        spec = PathFinder.find_spec(package)
        assert spec is not None, package
        assert spec.origin is not None, package
        source = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (folder / source.name).symlink_to(source)
    return folder


def test_every_function_is_built_from_its_own_files(built: Path) -> None:
    for name, folder in FUNCTIONS.items():
        assert _files(built / name) == _files(ROOT / "functions" / folder)
        assert (built / name / "app.py").read_text() == (ROOT / "functions" / folder / "app.py").read_text()


def test_the_layer_holds_all_of_the_engine(packages: Path) -> None:
    assert _files(packages / "order_engine") == _files(LAYER / "order_engine")


def test_the_layer_is_small_enough_to_start_quickly(layer: tuple[str, Path]) -> None:
    """Lambda takes 250 MB; far below that, a growth is worth a look."""
    files = [path for path in layer[1].rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") < 28 * MEGABYTE
    assert sum(path.stat().st_size for path in files if path.suffix == ".pyc") < 9 * MEGABYTE


def test_the_sizes_of_everything_that_was_built_are_told(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert artifacts.main(built) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == sorted([*FUNCTIONS, "CommonLayer"])
    assert all(re.search(r" +\d+\.\d\d MB, zipped +\d+\.\d\d MB$", line) for line in told), told


def test_the_layer_carries_no_litter_and_nothing_that_lambda_brings(packages: Path) -> None:
    litter = {"bin", "tests", "test", ".pytest_cache", "RECORD", "INSTALLER", "REQUESTED", "sboms"}
    assert not [path for path in packages.rglob("*") if path.name in litter or path.suffix in {".pyi", ".pyx", ".c"}]
    assert not {*BROUGHT_BY_LAMBDA, "six.py", "pip", "pytest"} & {path.name for path in packages.iterdir()}


def test_bytecode_is_there_once_and_holds_whatever_a_zip_file_does_to_times(packages: Path) -> None:
    if _python_of_lambda() is None:
        pytest.skip(f"no python{RUNTIME} for {ARCHITECTURE} Linux here")
    sources = set(packages.rglob("*.py"))
    bytecode = list(packages.rglob("*.pyc"))
    ending = f".cpython-{RUNTIME.replace('.', '')}.pyc"
    compiled = {path.parent.parent / path.name.replace(ending, ".py") for path in bytecode}
    assert len(bytecode) == len(compiled)
    assert compiled == sources
    # PEP 552: a hash of the source that nobody checks.
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in bytecode} == {0b01}


def test_compiled_modules_are_for_the_runtime_and_its_architecture(layer: tuple[str, Path]) -> None:
    architecture, packages = layer
    compiled = [path.name for path in packages.rglob("*.so") if "cpython" in path.name or "abi3" in path.name]
    fitting = re.compile(rf"\.(cpython-{RUNTIME.replace('.', '')}-{MACHINES[architecture]}-linux-gnu|abi3)\.so$")
    assert compiled
    assert [name for name in compiled if not fitting.search(name)] == []


def test_the_build_that_nothing_is_said_for_is_of_the_templates_default() -> None:
    for makefile in (ROOT / "Makefile", LAYER / "Makefile"):
        assert f"ARCHITECTURE ?= {ARCHITECTURE}\n" in makefile.read_text()


def test_what_is_fetched_for_the_layer_is_listed_to_the_last_byte_and_names_no_place() -> None:
    hashed = (LAYER / "requirements.txt").read_text()
    requirement = re.compile(r"[a-z\d-]+==[\w.]+( \\\n    --hash=sha256:[\da-f]{64})+\n")
    assert requirement.sub("", re.sub(r"(?m)^#.*\n", "", hashed)) == ""


def test_the_functions_run_here_with_the_versions_that_the_layer_has() -> None:
    """`make lock` was run after a change, and had nothing to add."""
    fetched = set(re.findall(r"(?m)^([a-z\d-]+==[\w.]+)", (LAYER / "requirements.txt").read_text()))
    listed = {re.sub(r"\[.*\]", "", line) for line in _requirement_lines(LAYER / "requirements.in")}
    assert listed == fetched
    for pin in listed:
        name, _, version = pin.partition("==")
        assert importlib.metadata.version(name) == version, name


def test_everything_that_a_package_requires_on_lambda_is_there(layer: tuple[str, Path]) -> None:
    """Pip decides `; python_version < "3.12"` and the like by the Python it runs on, not by Lambda's."""
    architecture, packages = layer
    on_lambda: dict[str, str] = default_environment() | {
        "python_version": RUNTIME,
        "python_full_version": f"{RUNTIME}.0",
        "implementation_version": f"{RUNTIME}.0",
        "platform_machine": MACHINES[architecture],
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    installed = {canonicalize_name(dist.name): dist for dist in importlib.metadata.distributions(path=[str(packages)])}
    wanted = [Requirement(line) for line in _requirement_lines(LAYER / "requirements.in")]
    seen: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        assert name in installed, f"{name} is missing"
        assert requirement.specifier.contains(installed[name].version), requirement
        for extra in {"", *requirement.extras}:
            if (key := f"{name}[{extra}]") not in seen:
                seen.add(key)
                wanted += _required(installed[name], on_lambda | {"extra": extra})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_import_of_a_built_function_is_found_in_the_build(
    built: Path, packages: Path, sdk: Path, function: str
) -> None:
    places = [str(built / function), str(packages), str(sdk)]
    missing = {
        module for module in _imported_from(built / function / "app.py", packages) if not _is_found(module, places)
    }
    assert missing == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_built_function_is_imported_by_the_python_of_lambda(
    built: Path, packages: Path, sdk: Path, function: str
) -> None:
    python = _python_of_lambda()
    if python is None:
        pytest.skip(f"no python{RUNTIME} for {ARCHITECTURE} Linux here")
    places = [str(built / function), str(packages), str(sdk)]
    # Isolated and without site-packages: nothing of this machine but the standard library is on the path.
    process = subprocess.run(
        [python, "-I", "-S", "-B", "-c", f"import sys; sys.path[:0] = {places!r}; import app"],
        env=example_environment(function),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def _files(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def _requirement_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def _required(distribution: importlib.metadata.Distribution, environment: Mapping[str, str]) -> list[Requirement]:
    requirements = (Requirement(line) for line in distribution.requires or [])
    return [one for one in requirements if one.marker is None or one.marker.evaluate(dict(environment))]


def _imported_from(app: Path, packages: Path) -> set[str]:
    """Every module named by an import statement of the app and of all modules of ours that it leads to."""
    found: set[str] = set()
    files = {app}
    while files:
        new = {module for file in files for module in imported_modules(file, packages)} - found
        found |= new
        files = {source for module in new if (source := source_of(module, packages)) is not None}
    return found


def _is_found(module: str, places: list[str]) -> bool:
    """Whether the import system would find it there, or in the standard library; nothing is executed."""
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return True
    search: Iterable[str] | None = places
    for depth in range(1, len(parts) + 1):
        if search is None:
            return False
        spec = PathFinder.find_spec(".".join(parts[:depth]), list(search))
        if spec is None:
            return False
        search = spec.submodule_search_locations
    return True


def _python_of_lambda() -> str | None:
    if (platform.system(), platform.machine()) != ("Linux", MACHINES[ARCHITECTURE]):
        return None
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = [str(path) for path in pyenv.glob(f"versions/{RUNTIME}*/bin/python{RUNTIME}")]
    on_path = shutil.which(f"python{RUNTIME}")
    candidates = [sys.executable, *installed, *([on_path] if on_path else [])]
    return next((python for python in candidates if _version(python) == RUNTIME), None)


def _version(python: str) -> str:
    """Empty for what is no Python that runs, as a version manager's placeholder."""
    program = "import sys; print('{}.{}'.format(*sys.version_info))"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
