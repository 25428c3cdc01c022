"""The tutorial's notebook is the script in cells, and runs in a kernel."""

import ast
import importlib
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"

SCRIPT = ROOT / "scripts" / "tutorial_notebook.py"


def needed(name: str) -> Any:
    """Return a module of the extra ``dev``; skip the test without it, except in CI, which installs it."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name)


@pytest.fixture
def nbformat():
    return needed("nbformat")


@pytest.fixture
def script(nbformat):
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def cells(nbformat):
    return nbformat.read(NOTEBOOK, as_version=4).cells


def test_the_notebook_is_current(script):
    made = script["notebook"]((ROOT / "docs" / "tutorial.py").read_text())
    assert NOTEBOOK.read_text() == made + "\n", "run: python scripts/tutorial_notebook.py"


@pytest.mark.parametrize("missing", [True, False])
def test_the_notebook_is_written_whole_or_not_at_all(missing, tmp_path, request):
    """The command is the one in the Makefile, in a copy of the tree."""
    if not missing:
        request.getfixturevalue("nbformat")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "docs").mkdir()
    for path in (SCRIPT, ROOT / "docs" / "tutorial.py"):
        (tmp_path / path.relative_to(ROOT)).write_text(path.read_text())
    written = tmp_path / "docs" / "tutorial.ipynb"
    written.write_text("old")
    if missing:
        (tmp_path / "scripts" / "nbformat.py").write_text("raise ImportError")
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if SCRIPT.name in line)
    words = line.strip().replace("$(BIN)/python", sys.executable)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        words, shell=True, cwd=tmp_path, env=environment, check=False, capture_output=True
    )
    assert (done.returncode == 0) == (not missing)
    assert written.read_text() == ("old" if missing else NOTEBOOK.read_text())


def test_in_ci_a_missing_package_fails(monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(ImportError):
        needed("nbformat")


def test_its_cells_are_the_statements_of_the_script(cells):
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    source = ast.parse((ROOT / "docs" / "tutorial.py").read_text())
    (main,) = (node for node in source.body if isinstance(node, ast.FunctionDef))
    expected = [ast.dump(statement) for statement in main.body[1:]]  # without its docstring
    assert [ast.dump(statement) for statement in ast.parse(code).body][-len(expected) :] == expected


def test_comments_become_text(nbformat, script):
    made = script["notebook"](
        "import sys\nimport tempfile\n\ndef main(folder):\n    'Do it.'\n    # One\n    # two.\n    a = 1\n\n"
        "    # Three.\n    for b in (1, 2):\n        print(b)\n"
    )
    cells = nbformat.reads(made, as_version=4).cells[2:]
    assert [(cell.cell_type, cell.source) for cell in cells] == [
        ("markdown", "One two."),
        ("code", "a = 1"),
        ("markdown", "Three."),
        ("code", "for b in (1, 2):\n    print(b)"),
    ]


@pytest.mark.slow
def test_the_notebook_runs(nbformat, tmp_path, monkeypatch):
    nbclient = needed("nbclient")
    needed("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # Its connection file is in a folder of its own, so that no file is left in the home folder.
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        book, timeout=200, resources={"metadata": {"path": os.fspath(tmp_path)}}
    ).execute()
    printed = "".join(
        output.get("text", "") for cell in book.cells for output in cell.get("outputs", [])
    )
    for line in (
        "36 videos of 12 classes, splits test1, ",
        "clips (4, 8, 56, 56, 3), torch.uint8",
        "rotated (16, 3, 8, 56, 56), labels [0, 0, 0, 0, 1, ",
        "6 steps, loss ",
        "features of a split (12, 32), labels [0, 1, 2, ",
        "an error: ",
    ):
        assert line in printed
