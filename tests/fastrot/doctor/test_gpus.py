"""The driver and the GPUs, as a stand-in for ``nvidia-smi`` reports them."""

import subprocess
from types import SimpleNamespace

import pytest

from fastrot.doctor.gpus import Gpu, check_gpus, find_gpus

H100 = Gpu("NVIDIA H100 80GB HBM3", "535.129.03", 81559, mig=False)


def smi(text):
    return lambda *_, **__: SimpleNamespace(stdout=text)


def test_what_nvidia_smi_says_is_read():
    text = (
        "NVIDIA H100 80GB HBM3, 535.129.03, 81559, Disabled\nNVIDIA T4, 535.129.03, 15360, [N/A]\n"
    )
    first, second = find_gpus(smi(text))
    assert first == H100
    assert (second.memory, second.mig) == (15360, False)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.CalledProcessError(9, "nvidia-smi")]
)
def test_without_nvidia_smi_there_are_no_gpus(error):
    def fail(*_, **__):
        raise error

    assert find_gpus(fail) == []
    (check,) = check_gpus([])  # one row, whatever else would be checked
    assert (check.status, check.stops) == ("missing", False)
    assert "not checked: driver, CUDA, apex" in check.found


def test_mig_is_warned_of():
    assert [check.status for check in check_gpus([H100])] == ["good", "good"]
    sliced = Gpu("A100", "535.1", 40960, mig=True)
    assert check_gpus([sliced])[1].status == "warning"
