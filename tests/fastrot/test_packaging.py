"""The wheel: what is in it, and that it works without the checkout."""

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import fastrot
from pipelines.store.reading import Store
from tests.helpers import moving_frames, write_video

ROOT = Path(__file__).parents[2]
PARTS = ("fastrot", "pipelines", "benchmarks", "configs")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy, so that no build folder is left in the checkout, or leaks into it."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, copy / part, symlinks=True, ignore=ignore)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "-w", str(out)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(copy)], check=True)
    return next(out.glob("*.whl"))


def test_it_has_the_packages_and_the_configs_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"fastrot/{p.relative_to(ROOT)}" for p in (ROOT / "configs").rglob("*.yaml")}
    assert len(configs) > 20
    assert configs <= names
    modules = {
        path.relative_to(ROOT).as_posix()
        for part in PARTS[:3]
        for path in (ROOT / part).rglob("*.py")
    }
    assert modules <= names
    assert {"fastrot/py.typed", "pipelines/py.typed", "pipelines/loading/sample.jpg"} <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        "fastrot",
        "pipelines",
        "benchmarks",
        f"fastrot-{fastrot.__version__}.dist-info",
    }


def test_it_says_its_version_and_extras(wheel):
    with zipfile.ZipFile(wheel) as file:
        folder = f"fastrot-{fastrot.__version__}.dist-info"
        about = email.message_from_bytes(file.read(f"{folder}/METADATA"))
        entry = file.read(f"{folder}/entry_points.txt").decode()
    assert about["Version"] == fastrot.__version__
    extras = {"cuda12", "cuda13", "plots", "safetensors", "tensorboard", "docs", "dev"}
    assert extras <= set(about.get_all("Provides-Extra"))
    assert "fastrot = fastrot.cli:main" in entry
    required = [line for line in about.get_all("Requires-Dist") if "extra ==" not in line]
    assert not any("dali" in line or "apex" in line for line in required)


@pytest.fixture(scope="module")
def target(wheel, tmp_path_factory):
    """Install the wheel into a folder, without what it needs, and return the folder."""
    folder = tmp_path_factory.mktemp("target")
    options = ["--no-deps", "--no-index", "--quiet", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    return folder


def run(folder, *arguments, code=0, **variables):
    """Run Python in a folder to this exit code and return what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_installed_anywhere_it_finds_its_configs(target, tmp_path):
    command = ["pretrain", "configs/pretrain/kinetics_rgb_16.yaml", "--print-config"]
    printed = run(tmp_path, "-m", "fastrot", *command, PYTHONPATH=target)
    assert yaml.safe_load(printed)["name"] == "kinetics_rgb_16"
    code = "import fastrot.config.builtin as b; print(b.find_config('demo/pretrain.yaml'))"
    found = run(tmp_path, "-c", code, PYTHONPATH=target)
    assert Path(found.strip()) == target / "fastrot" / "configs" / "demo" / "pretrain.yaml"


@pytest.fixture
def own_packages(tmp_path):
    """Return a folder where the user has packages of the same names as ours."""
    for name in ("pipelines", "benchmarks"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise ImportError('the package of the user')")
    return tmp_path


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_a_users_packages_of_the_same_names_do_not_hide_ours(target, own_packages, safe_path):
    variables = {"PYTHONPATH": target, "PYTHONSAFEPATH": safe_path}
    printed = run(own_packages, "-m", "fastrot", "--version", **variables)
    assert printed == f"fastrot {fastrot.__version__}\n"
    command = ["bench", "report", "none.json"]  # imports `benchmarks`, then finds no such file
    printed = run(own_packages, "-m", "fastrot", *command, code=1, **variables)
    assert printed.startswith("fastrot: error: none.json")


def test_nor_do_they_in_spawned_workers(target, own_packages):
    write_video(own_packages / "video.mp4", moving_frames(4, 64, 64))
    run(own_packages, "-m", "fastrot", "prepare", "video.mp4", "--out", "store", PYTHONPATH=target)
    assert len(Store.open(own_packages / "store")) == 1


def test_in_a_checkout_its_own_packages_are_taken(target, tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(target, checkout)
    with (checkout / "pipelines" / "errors.py").open("a") as file:
        file.write("print('of the checkout')\n")
    printed = run(checkout, "-m", "fastrot", "--version", PYTHONPATH=target)
    assert printed.splitlines() == ["of the checkout", f"fastrot {fastrot.__version__}"]
