"""Tasks of the user's own: found by name, in the working folder last, and refused with a reason."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastrot.config import Config, from_mapping
from fastrot.config.schema import BUILT_IN_TASKS
from fastrot.evaluation.trained import load_trained
from fastrot.runs.checkpoint import load_checkpoint, save_checkpoint
from fastrot.tasks import TASKS, make_task
from fastrot.training.run import train
from pipelines.errors import FastrotError, UsageError

CODE = """
from fastrot.tasks import RotationTask, Task

class Mine(RotationTask):
    pass

class Half(Task):
    pass

class Other:
    pass

class Odd(RotationTask):
    def __init__(self, config):
        super().__init__(config, [])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with modules of one's own, and forget them afterwards."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_task.py").write_text(CODE)
    (tmp_path / "needs_more.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "broken_code.py").write_text("\nx = 1 / 0\n")
    (tmp_path / "no_python.py").write_text("x = (\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("own_task", "needs_more", "broken_code", "no_python")):
            del sys.modules[name]


def test_a_task_is_found_in_the_working_folder_which_then_leaves_the_path(folder: Path) -> None:
    before = list(sys.path)
    task = make_task(Config(task="own_task:Mine"), [])
    assert type(task).__name__ == "Mine"
    assert (task.outputs, task.measure) == (4, "rotation")
    assert sys.path == before


def test_a_folder_of_ones_own_takes_the_place_of_no_installed_package(folder: Path) -> None:
    for name in ("yaml", "pipelines"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('shadowed')")
        (folder / name / "own.py").write_text(CODE)
        with pytest.raises(UsageError, match=f"module {name}.own does not exist in"):
            make_task(Config(task=f"{name}.own:Mine"), [])


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (
            "own_tusk:Mine",
            "module own_tusk does not exist in .* or among the installed packages: run fastrot in",
        ),
        ("own_task.more:Mine", "module own_task.more does not exist"),
        ("own_task:Mime", r"own_task\.py has no Mime; did you mean own_task:Mine\?"),
        ("own_task:Other", r"must be a class that derives from fastrot\.tasks\.Task"),
        ("os:getcwd", "must be a class that derives from"),
        ("own_task:Half", "the class does not implement network, prepare"),
        ("own_task:Odd", r"creating it as Class\(config, classes\) failed: TypeError: "),
        ("needs_more:X", r"No module named 'nothing_of_this_name' \(.*needs_more\.py, line 1\)"),
        ("broken_code:X", r"ZeroDivisionError: division by zero \(.*broken_code\.py, line 2\)"),
        ("no_python:X", r"SyntaxError: .*no_python\.py, line 1\)"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, task: str, says: str) -> None:
    with pytest.raises(FastrotError, match=says) as caught:
        make_task(Config(task=task), [])
    assert str(caught.value).startswith(f"task is {task}: ")


@pytest.mark.parametrize(
    "name", ["rotaton", "", ":", "a:", ":B", "a/b:C", "a.py:B", "a:B.C", "a b:C"]
)
def test_what_is_no_name_of_a_task_is_refused_with_the_way_to_write_one(name: str) -> None:
    with pytest.raises(UsageError, match="choose one of rotation, action, or a custom task"):
        from_mapping({"task": name})


def test_the_schema_knows_the_tasks_that_there_are() -> None:
    assert tuple(TASKS) == BUILT_IN_TASKS


def test_a_checkpoint_whose_task_is_not_there_is_named(tiny_config, runtime) -> None:
    last = train(tiny_config(train={"iterations": 1}), quiet=True).last
    values = load_checkpoint(last)
    save_checkpoint(last, {**values, "config": {**values["config"], "task": "not_here:Mine"}})
    with pytest.raises(
        UsageError, match=r"last\.pt cannot be loaded: .*module not_here does not exist"
    ):
        load_trained(last, runtime)
