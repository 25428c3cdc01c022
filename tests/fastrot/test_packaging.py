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
    assert {"fastrot/py.typed", "pipelines/py.typed"} <= names
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
    extras = {"cuda12", "cuda13", "plots", "safetensors", "tensorboard", "dev"}
    assert extras <= set(about.get_all("Provides-Extra"))
    assert "fastrot = fastrot.cli:main" in entry
    required = [line for line in about.get_all("Requires-Dist") if "extra ==" not in line]
    assert not any("dali" in line or "apex" in line for line in required)


def test_installed_anywhere_it_finds_its_configs(wheel, tmp_path):
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ["--no-deps", "--no-index", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    command = ["pretrain", "configs/pretrain/kinetics_rgb_16.yaml", "--print-config"]
    printed = subprocess.run(
        [sys.executable, "-m", "fastrot", *command],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert yaml.safe_load(printed)["name"] == "kinetics_rgb_16"
    code = "import fastrot.config.builtin as b; print(b.find_config('demo/pretrain.yaml'))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert Path(found.strip()) == target / "fastrot" / "configs" / "demo" / "pretrain.yaml"
