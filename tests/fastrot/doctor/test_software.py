"""Judging packages: what stops training, what only costs."""

import pytest

from fastrot.doctor.gpus import Gpu
from fastrot.doctor.software import Software, check_software, find_software
from fastrot.training.apex import ApexKind

GPU = Gpu("NVIDIA H100", "535.129.03", 81559, mig=False)
NEW_GPU = Gpu("NVIDIA H100", "580.65.06", 81559, mig=False)
PACKAGES = {
    **{"torch": "2.13.0", "numpy": "2.4", "av": "18.1", "triton": "3.7.1"},
    **{"nvidia-dali-cuda120": "2.4.0"},
}


def software(**changes):
    values = {
        "python": (3, 11, 7),
        "packages": PACKAGES,
        "cuda": "12.6",
        "cuda_works": True,
        "apex": ApexKind.NVIDIA,
    }
    return Software(**{**values, **changes})


def judged(found, gpus, name):
    (check,) = [check for check in check_software(found, gpus) if check.name == name]
    return check


def test_a_healthy_machine_has_nothing_that_stops_it():
    checks = check_software(software(), [GPU])
    assert not any(check.stops for check in checks)
    assert {check.name for check in checks if check.status != "good"} == {
        "safetensors",
        "tensorboard",
        "wandb",
        "matplotlib",
    }


def test_a_cpu_build_without_a_gpu_stops_nothing():
    here = software(cuda=None, cuda_works=False, apex=ApexKind.NONE)
    checks = check_software(here, [])
    assert not any(check.stops for check in checks)
    assert {check.name for check in checks}.isdisjoint({"CUDA", "apex", "Triton"})


@pytest.mark.parametrize(
    ("changes", "gpus", "name", "status", "stops", "word"),
    [
        ({"packages": {**PACKAGES, "torch": "2.9.1"}}, [GPU], "torch", "warning", False, "2.10"),
        ({"packages": {**PACKAGES, "torch": "2.10.0a0+b4e"}}, [GPU], "torch", "good", False, ""),
        ({"errors": {"torch": "libcudart"}}, [GPU], "torch", "missing", True, "pip install torch"),
        ({"cuda": None, "cuda_works": False}, [GPU], "CUDA", "missing", True, "CUDA build"),
        (
            {"cuda": "13.0", "cuda_works": False},
            [GPU],
            "CUDA",
            "warning",
            True,
            "driver 580 or newer",
        ),
        ({"cuda": "13.0"}, [NEW_GPU], "CUDA", "good", False, ""),
        ({"cuda_works": False}, [GPU], "CUDA", "warning", True, "CUDA_VISIBLE_DEVICES"),
        ({"errors": {"dali": "no module"}}, [GPU], "DALI", "missing", True, "nvidia-dali-cuda120"),
        (
            {"packages": {**PACKAGES, "nvidia-dali-cuda130": "2.4.0"}},
            *([GPU], "DALI", "warning", False, "uninstall both"),
        ),
        ({"errors": {"av": "no module"}}, [GPU], "PyAV", "missing", False, "pip install av"),
        ({"errors": {"pillow": "no"}}, [GPU], "Pillow", "missing", False, "pip install pillow"),
        (
            {"packages": {"torch": "2.13.0"}},
            [GPU],
            "Triton",
            "missing",
            False,
            "torch computes the rotations",
        ),
        ({"apex": ApexKind.UNRELATED}, [GPU], "apex", "warning", False, "pip uninstall apex"),
        (
            {"apex": ApexKind.WITHOUT_EXTENSIONS},
            [GPU],
            "apex",
            "warning",
            False,
            "rebuild it for this GPU and this version of torch",
        ),
        ({"apex": ApexKind.NONE}, [GPU], "apex", "missing", False, "optional"),
    ],
)
def test_each_fault_has_its_status_and_remedy(changes, gpus, name, status, stops, word):
    check = judged(software(**changes), gpus, name)
    assert (check.status, check.stops) == (status, stops)
    assert word in check.remedy


def test_dali_for_cuda_13_wants_a_new_driver():
    packages = {"torch": "2.13.0", "nvidia-dali-cuda130": "2.4.0"}
    assert judged(software(packages=packages), [GPU], "DALI").stops
    assert judged(software(packages=packages), [NEW_GPU], "DALI").status == "good"


def test_what_does_not_import_is_noted_by_its_first_line():
    def load(name):
        raise OSError("libcuda.so.1: cannot open\nsecond line")

    found = find_software(load)
    assert found.errors == dict.fromkeys(
        ("torch", "dali", "av", "pillow"), "libcuda.so.1: cannot open"
    )
    assert found.cuda is None
