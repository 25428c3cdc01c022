"""What becomes of tests marked gpu where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.mark.gpu
def test_cuda_is_there() -> None:
    """On a machine with a GPU, that is all; elsewhere the test below looks at what becomes of this one."""
    assert torch.cuda.is_available()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize(("required", "code", "said"), [("0", 0, "1 skipped"), ("1", 1, "1 error")])
def test_without_cuda_gpu_tests_skip_or_fail(required: str, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", __file__],
        cwd=ROOT,
        env={**os.environ, "FASTROT_REQUIRE_GPU": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert said in done.stdout


BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"sklearn", "scipy", "safetensors", "tensorboard", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.slow
def test_gpu_tests_start_where_only_pytest_and_hypothesis_are_installed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BARE)
    plugins = ["-p", "no:timeout", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "--collect-only", *plugins],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "test_kernel.py" in done.stdout
