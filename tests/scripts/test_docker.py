"""The Dockerfile: what it copies exists, and the image's own torch satisfies what fastrot asks."""

import configparser
import fnmatch
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from fastrot.runs.apex import BUILD

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def copied():
    return [source for line in LINES if line.startswith("COPY ") for source in line.split()[1:-1]]


def test_what_is_copied_exists_and_is_let_through():
    assert {"setup.cfg", "fastrot", "pipelines", "benchmarks", "configs"} <= set(copied())
    rules = (ROOT / ".dockerignore").read_text().split()
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    for source in copied():
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, rule) for rule in allowed), source


def test_what_is_used_is_declared():
    declared = {line.split()[1].split("=")[0] for line in LINES if line.startswith("ARG ")}
    used = set(re.findall(r"\$\{(\w+)\}", "\n".join(LINES)))
    assert used <= declared == {"BASE", "DALI", "APEX"}


def test_apex_is_built_as_the_installing_page_and_the_messages_say():
    command, source = BUILD.rsplit(" ", 1)
    assert source == "git+https://github.com/NVIDIA/apex"
    assert BUILD in (ROOT / "docs" / "install.md").read_text()
    (line,) = [line for line in LINES if "NVIDIA/apex" in line]
    assert command in " ".join(line.split())


def test_dalis_builds_are_extras():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert {"cuda12", "cuda13", "safetensors", "tensorboard"} <= set(
        setup["options.extras_require"]
    )


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("2.10.0a0+b4e4ee81d3.nv25.12", True),
        ("2.13.0", True),
        ("2.9.0a0+145a3a7bda.nv25.10", False),
    ],
)
def test_nvidias_torch_satisfies_our_bound(version, fits):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = [
        Requirement(line)
        for line in setup["options"]["install_requires"].split("\n")
        if line and not line.startswith("#")
    ]
    (torch,) = [each for each in required if each.name == "torch"]
    assert torch.specifier.contains(Version(version)) is fits
