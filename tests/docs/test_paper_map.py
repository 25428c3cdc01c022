"""docs/architecture.md: what it names exists, and each file of the paper's table names its section."""

import ast
import re

import pytest

from fastrot.reproduce.tables import BUILDERS
from tests.docs.pages import ROOT, inline_code

PAGE = ROOT / "docs" / "architecture.md"
HEADER = "| section | what | file | symbol | config | target |"


def rows():
    """Return the cells of the paper's table, without backticks."""
    lines = PAGE.read_text().split(HEADER)[1].strip().splitlines()[1:]
    table = lines[: lines.index("")] if "" in lines else lines
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


ROWS = rows()
IDS = [f"{section} {what}" for section, what, *_ in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_holds(row):
    section, _, file, symbol, config, target = row
    tree = ast.parse((ROOT / file).read_text())
    first_line = (ast.get_docstring(tree) or "").splitlines()[0]
    named = re.findall(r"\d\.\d+", first_line.partition("section")[2])
    assert section in named, f"the first line of {file} names sections {named}"
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not symbol or symbol in names
    assert not config or (ROOT / config).is_file()
    assert not target or target in BUILDERS


def test_every_section_and_target_has_its_row():
    sections = {row[0] for row in ROWS}
    assert sections == {*(f"3.{i}" for i in range(1, 5)), *(f"4.{i}" for i in range(1, 11))}
    beyond = {"budget", "probe", "retrieval", "supervised"}
    assert {row[5] for row in ROWS} - {""} == set(BUILDERS) - beyond


def test_paths_exist():
    paths = [code for code in inline_code(PAGE) if re.fullmatch(r"[\w./]+/[\w.]*", code)]
    assert len(paths) > 50
    for path in paths:
        assert (ROOT / path).exists(), path
