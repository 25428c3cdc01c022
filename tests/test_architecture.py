"""Who imports whom, and what imports without the heavy packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

NEED_TRITON = {"kernel.py"}
"""Imported by the rotation op where clips on a GPU are first rotated, and by nothing else."""


def imported(package: str) -> set[tuple[str, str]]:
    """Return (file, top-level package) of every import below ``package``, however deep it stands."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found |= {(path.relative_to(ROOT).as_posix(), name.split(".")[0]) for name in names}
    return found


def test_pipelines_never_imports_fastrot_or_benchmarks():
    assert not [pair for pair in imported("pipelines") if pair[1] in ("fastrot", "benchmarks")]


def test_fastrot_imports_benchmarks_only_in_the_bench_command():
    users = {file for file, name in imported("fastrot") if name == "benchmarks"}
    assert users <= {"fastrot/commands/bench.py"}


def test_the_check_itself_sees_imports():
    assert ("pipelines/loading/loader.py", "torch") in imported("pipelines")


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r} or name.startswith("nvidia.dali"):
            raise ImportError(f"{{name}} is blocked in this test")
sys.meta_path.insert(0, Block())
"""


def run(code: str, blocked: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=blocked) + code],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_works_without_torch_dali_triton_and_apex():
    code = "from fastrot.cli import main\nmain(['--help'])"
    result = run(code, ("torch", "triton", "apex"))
    assert result.returncode == 0, result.stderr
    for command in (
        "demo",
        "prepare",
        "store",
        "pretrain",
        "finetune",
        "evaluate",
        "reproduce",
        "bench",
    ):
        assert command in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "prepare",
        "pretrain",
        "finetune",
        "evaluate rotation",
        "reproduce",
        "report",
        "doctor",
        "features",
        "weights export",
        "bench",
        "bench loader",
    ],
)
def test_every_commands_help_works_without_them(command):
    code = f"from fastrot.cli import main\nmain([*{command!r}.split(), '--help'])"
    result = run(code, ("torch", "triton", "apex"))
    assert result.returncode == 0, result.stderr
    assert "usage: fastrot" in result.stdout


def test_core_modules_import_without_dali_triton_and_apex():
    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for package in ("pipelines", "fastrot")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__main__.py" and path.name not in NEED_TRITON
    ]
    code = "import importlib\nfor name in " + repr(modules) + ": importlib.import_module(name)"
    result = run(code, ("triton", "apex"))
    assert result.returncode == 0, result.stderr


def test_a_loader_without_dali_says_what_to_install(make_store):
    code = f"""
import torch
from pipelines.errors import FastrotError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store
store = Store.open({str(make_store("mjpeg").path)!r})
plan = TrainPlan(store, store.select("all"), ClipSpec(frames=2, crop=31), seed=0)
try:
    Loader(store, plan, [(0, 1)], batch=1, device=torch.device("cpu"))
except FastrotError as error:
    print(error)
"""
    result = run(code, ())
    assert "pip install nvidia-dali-cuda120" in result.stdout, result.stderr
