"""Write the tutorial as a notebook, docs/tutorial.ipynb. Run: python scripts/tutorial_notebook.py

The notebook has the script's imports, then one cell of text and one of code for each paragraph of ``main``.
"""

import ast
import itertools
import textwrap
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipelines.files import write_file

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.py"
NOTEBOOK = TUTORIAL.with_suffix(".ipynb")

INTRODUCTION = """\
# fastrot in Python

From videos to features, in about ten seconds on two CPU cores. Every name of the public interface is used
once. The network is tiny and is trained for only a few steps: the notebook shows how to use the interface,
not what accuracy to expect.

It was made from `docs/tutorial.py`, and needs fastrot: `pip install '.[cuda12]'` in a checkout.\
"""
FOLDER = "folder = Path(tempfile.mkdtemp())  # everything below is written here"


def notebook(source: str) -> str:
    """Return the notebook as JSON.

    Args:
        source: The script: imports, and a function ``main`` whose paragraphs are separated by blank lines and
            begin with a comment.
    """
    tree = ast.parse(source)
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = source.splitlines()
    head = lines[imports[0].lineno - 1 : imports[-1].end_lineno]
    # Only the script's command line uses sys. The first statement of main is its docstring.
    head.remove("import sys")
    body = textwrap.dedent("\n".join(lines[main.body[0].end_lineno or 0 : main.end_lineno]))
    cells = [new_markdown_cell(INTRODUCTION), new_code_cell("\n".join([*head, "", FOLDER]))]
    for paragraph in body.strip().split("\n\n"):
        text, code = _split(paragraph)
        cells += [new_markdown_cell(text)] * bool(text) + [new_code_cell(code)]
    for number, cell in enumerate(cells):
        cell["id"] = (
            f"cell-{number}"  # nbformat's are random, and the file would change with every build
        )
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(book)
    return nbformat.writes(book)


def _split(paragraph: str) -> tuple[str, str]:
    """Return the comment that a paragraph begins with, without its marks, and the code."""
    lines = paragraph.splitlines()
    comment = list(itertools.takewhile(lambda line: line.startswith("# "), lines))
    text = " ".join(line.removeprefix("# ") for line in comment)
    return text, "\n".join(lines[len(comment) :])


if __name__ == "__main__":
    write_file(NOTEBOOK, notebook(TUTORIAL.read_text()) + "\n")
