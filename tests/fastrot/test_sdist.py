"""The sdist is the whole checkout, and twine accepts the files of a release."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import fastrot

ROOT = Path(__file__).parents[2]
LINK = "fastrot/configs"  # in the sdist a folder with the files of configs/

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tracked():
    """Return the files that git tracks."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def release(tracked, tmp_path_factory):
    """Build the sdist, and the wheel from it, from a copy, so that the checkout gets no build folders."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in tracked:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    # Without isolation: setuptools is installed, and no network is needed.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(
        build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return out


def test_the_sdist_has_every_file(release, tracked):
    top = f"fastrot-{fastrot.__version__}"
    with tarfile.open(release / f"{top}.tar.gz") as file:
        there = {
            member.name.removeprefix(f"{top}/") for member in file.getmembers() if member.isfile()
        }
    configs = {f"fastrot/{name}" for name in tracked if name.startswith("configs/")}
    made = {"PKG-INFO", *(name for name in there if name.startswith("fastrot.egg-info/"))}
    assert there - made == (tracked - {LINK}) | configs


def test_twine_accepts_both_files(release):
    files = sorted(map(str, release.iterdir()))
    assert [name.rsplit(".", 1)[1] for name in files] == ["whl", "gz"]
    done = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2
