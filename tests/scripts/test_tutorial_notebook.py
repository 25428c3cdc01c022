"""The tutorial's notebook is the script in cells, and runs in a kernel."""

import ast
import os
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"

nbformat = pytest.importorskip("nbformat")


@pytest.fixture
def script():
    return runpy.run_path(str(ROOT / "scripts" / "tutorial_notebook.py"))


@pytest.fixture
def cells():
    return nbformat.read(NOTEBOOK, as_version=4).cells


def test_the_notebook_is_current(script):
    made = script["notebook"]((ROOT / "docs" / "tutorial.py").read_text())
    assert NOTEBOOK.read_text() == made + "\n", (
        "run: python scripts/tutorial_notebook.py > docs/tutorial.ipynb"
    )


def test_its_cells_are_the_statements_of_the_script(cells):
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    source = ast.parse((ROOT / "docs" / "tutorial.py").read_text())
    (main,) = (node for node in source.body if isinstance(node, ast.FunctionDef))
    expected = [ast.dump(statement) for statement in main.body[1:]]  # without its docstring
    assert [ast.dump(statement) for statement in ast.parse(code).body][-len(expected) :] == expected


def test_comments_become_text(script):
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
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
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
