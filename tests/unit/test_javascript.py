"""Modules as one script, which Node, where there is one, has to read as it reads the modules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from order_engine.runtime.javascript import joined
from tests.functions.api import DASHBOARD

MODULES = {
    "main.js": """import { twice as double } from "./sums.js";
import { one } from "./numbers.js";

console.log(double(one));
""",
    "sums.js": """import { two } from "./numbers.js";

const one = "its own";
export function twice(n) {
  return n * two;
}
""",
    "numbers.js": "export const one = 1;\nexport const two = 2;\n",
}


def written(folder: Path, modules: dict[str, str]) -> Path:
    for name, source in modules.items():
        (folder / name).write_text(source)
    return folder / next(iter(modules))


def test_a_module_comes_after_what_it_imports_and_each_but_once(tmp_path: Path) -> None:
    script = joined(written(tmp_path, MODULES))
    assert [script.count(f"const ${name} =") for name in ("numbers", "sums", "main")] == [1, 1, 1]
    assert script.index("$numbers =") < script.index("$sums =") < script.index("$main =")
    assert "import {" not in script
    assert "export " not in script


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here; the browser tests run the real page")
def test_the_script_does_what_the_modules_do(tmp_path: Path) -> None:
    script = tmp_path / "joined.mjs"
    script.write_text(joined(written(tmp_path, MODULES)))
    ran = subprocess.run(["node", script], check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "2\n"), ran.stderr


def test_a_script_without_imports_stays_as_it_is(tmp_path: Path) -> None:
    assert joined(written(tmp_path, {"alone.js": "export const a = 1;\n"})) == "export const a = 1;\n"


@pytest.mark.parametrize(
    ("imported", "complaint"),
    [
        ('import { a } from "./a.js";\n', "a.js imports b.js imports a.js"),
        ("export default 1;\n", "b.js cannot be joined to others: export default 1;"),
        ('import * as c from "./c.js";\n', "b.js cannot be joined to others: import"),
    ],
)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, imported: str, complaint: str) -> None:
    modules = {"a.js": 'import { b } from "./b.js";\n', "b.js": imported}
    with pytest.raises(ValueError, match=complaint):
        joined(written(tmp_path, modules))


def test_the_dashboards_modules_can_be_joined() -> None:
    assert "const $app =" in joined(DASHBOARD / "assets" / "app.js")
