"""Who imports whom, and what imports without the heavy packages."""

import ast
import subprocess
import sys
from pathlib import Path

from fastrot.cli import COMMANDS
from fastrot.commands.bench import BENCHMARKS

ROOT = Path(__file__).parents[1]

NEED_TRITON = {"kernel.py", "stem_tail_kernel.py"}
"""Imported where a GPU first needs them, by the ops of the rotation and the stem's tail; nowhere else."""


PACKAGES = ("pipelines", "fastrot", "benchmarks")

FLOORS = """
pipelines.errors pipelines.cores pipelines.hashing fastrot.version fastrot.terminal
pipelines.files pipelines.plan pipelines.shares fastrot.config fastrot.rotation
pipelines.store fastrot.distributed
pipelines.layouts fastrot.runs
pipelines.prepare fastrot.models fastrot.synthetic
pipelines.loading
fastrot.data fastrot.tasks
fastrot.evaluation
fastrot.analysis fastrot.api fastrot.training
fastrot.report fastrot.doctor
fastrot.demo fastrot.reproduce benchmarks.harness
benchmarks.loading
fastrot
fastrot.commands
fastrot.cli
fastrot.__main__
benchmarks.rotation benchmarks.scaling benchmarks.startup benchmarks.loader
benchmarks.training
benchmarks.train benchmarks.tools benchmarks.cheap_cues benchmarks.soak
benchmarks.acceptance
"""
"""Who may import whom: each room, and each file outside the rooms, imports only what is on lines above it."""

BENCH_COMMAND = "fastrot.commands.bench"
"""The one module of fastrot that imports the benchmarks: when it is called, and only then."""


def modules(package: str) -> dict[str, Path]:
    """Return the path of every module of ``package``, by its dotted name."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


MODULES = {name: path for package in PACKAGES for name, path in modules(package).items()}


def room(module: str) -> str:
    """Return the first two parts of a module's name: its room, or itself where it has none."""
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else module for name in names}
    return found


def test_rooms_import_only_what_is_below_them():
    floor = {room: at for at, line in enumerate(FLOORS.splitlines()) for room in line.split()}
    upward = [
        f"{name} imports {imported}"
        for name, path in MODULES.items()
        for imported in imports(path)
        if imported.split(".")[0] in PACKAGES and room(imported) != room(name)
        if not floor[room(imported)] < floor[room(name)]
        if not (name == BENCH_COMMAND and imported.startswith("benchmarks"))
    ]
    assert not upward


def test_every_room_has_its_floor():
    rooms = {room(name) for name in MODULES} - {"pipelines", "benchmarks"}
    assert rooms == set(FLOORS.split())


def test_the_check_itself_sees_imports():
    assert "torch" in imports(MODULES["pipelines.loading.loader"])
    assert "fastrot.training.start" in imports(MODULES["fastrot.training.run"])


def test_a_modules_name_stands_once():
    """A command may be called like what it commands: in ``fastrot/commands`` and for ``fastrot bench``."""
    names = [
        path.stem
        for path in MODULES.values()
        if path.stem not in ("__init__", "__main__")
        if path.parent not in (ROOT / "fastrot" / "commands", ROOT / "benchmarks")
    ]
    assert not [name for name in set(names) if names.count(name) > 1]


def test_no_file_is_long():
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: length for name, length in lengths.items() if length > 350}


def test_few_files_are_outside_the_rooms():
    assert len(list((ROOT / "fastrot").glob("*.py"))) <= 7
    assert {path.stem for path in (ROOT / "pipelines").glob("*.py")} == {
        "__init__",
        "cores",
        "errors",
        "files",
        "hashing",
        "plan",
        "shares",
    }
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == (
        {"__init__", *BENCHMARKS} - {"all"}
    )


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


COMMAND_LINES = [
    *(
        "",
        "demo",
        "prepare",
        "store",
        "configs",
        "pretrain",
        "finetune",
        "evaluate",
        "evaluate rotation",
    ),
    *("reproduce", "report", "doctor", "features", "weights", "weights export", "bench"),
    "bench loader",
]


def test_help_works_without_torch_dali_triton_and_apex():
    code = f"""
from fastrot.cli import main
for line in {COMMAND_LINES!r}:
    try:
        code = main([*line.split(), "--help"])
    except SystemExit as stop:
        code = stop.code
    print(f"{{line}}: {{code or 0}}")
"""
    result = run(code, ("torch", "triton", "apex"))
    assert result.returncode == 0, result.stderr
    for line in COMMAND_LINES:
        assert f"\n{line}: 0\n" in result.stdout
        assert f"usage: fastrot {line}".rstrip() in result.stdout
    for command in COMMANDS:
        assert command in result.stdout


def test_core_modules_import_without_dali_triton_and_apex():
    names = [
        name
        for package in ("pipelines", "fastrot")
        for name, path in modules(package).items()
        if path.name != "__main__.py" and path.name not in NEED_TRITON
    ]
    code = "import importlib\nfor name in " + repr(names) + ": importlib.import_module(name)"
    result = run(code, ("triton", "apex"))
    assert result.returncode == 0, result.stderr


LOAD = """
import torch
from pipelines.errors import FastrotError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store
for path in {paths!r}:
    store = Store.open(path)
    plan = TrainPlan(store, store.select("all"), ClipSpec(frames=2, crop=31), seed=0)
    try:
        with Loader(store, plan, [(0, 1)], batch=1, device=torch.device("cpu")) as loader:
            print(*next(loader).clips.shape)
    except FastrotError as error:
        print(error)
"""


def test_without_dali_a_cpu_loads_all_but_mjpeg_and_says_what_to_install(make_store):
    stores = [make_store(codec, size=128) for codec in ("raw", "h264", "vp9", "mjpeg")]
    result = run(LOAD.format(paths=[str(store.path) for store in stores]), ())
    *loaded, refused = result.stdout.splitlines()
    assert loaded == ["1 2 31 31 3"] * 3, result.stderr
    assert "pip install nvidia-dali-cuda120" in refused
