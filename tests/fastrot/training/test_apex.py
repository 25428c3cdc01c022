import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fastrot.config import OptimConfig
from fastrot.training.apex import ApexKind, find_apex, trial
from fastrot.training.optim import choose_backend, load_optimizer, make_optimizer
from pipelines.errors import UsageError

CPU = torch.device("cpu")

# What apex's FusedSGD does, in torch, so that the way to it can be tried without a GPU.
FUSED_SGD = """
import torch
class FusedSGD(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening,
                                      weight_decay=weight_decay, nesterov=nesterov))
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                g = p.grad + group["weight_decay"] * p
                buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buf.mul_(group["momentum"]).add_(g)
                p.sub_(group["lr"] * buf)
"""

Install = Callable[[dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that makes files importable; what was imported of them is forgotten after."""
    before = set(sys.modules)
    for name in [name for name in before if name.split(".")[0] in ("apex", "amp_C")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] in ("apex", "amp_C")]:
        del sys.modules[name]


def nvidias(code: str = FUSED_SGD) -> dict[str, str]:
    return {
        "apex/__init__.py": "",
        "apex/optimizers/__init__.py": "from .fused_sgd import FusedSGD" if code else "",
        "apex/optimizers/fused_sgd.py": code,
    }


def test_the_web_toolkit_is_told_apart_and_not_imported(install: Install) -> None:
    install({"apex/__init__.py": "raise SystemExit('imported')", "apex/lib.py": ""})
    assert find_apex() is ApexKind.UNRELATED
    assert "not NVIDIA's" in ApexKind.UNRELATED.value


def test_nvidias_needs_extensions_that_import(install: Install) -> None:
    install(nvidias())
    assert find_apex() is ApexKind.WITHOUT_EXTENSIONS
    install({"amp_C.py": "raise ImportError('undefined symbol')"})
    assert find_apex() is ApexKind.WITHOUT_EXTENSIONS
    install({"amp_C.py": "multi_tensor_sgd = None"})
    assert find_apex() is ApexKind.NVIDIA


def test_no_apex_and_one_without_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert find_apex() is ApexKind.NONE

    def refuse(name: str) -> None:
        raise ValueError("apex.__spec__ is None")

    monkeypatch.setattr(importlib.util, "find_spec", refuse)
    assert find_apex() is ApexKind.NONE


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (ApexKind.NONE, "NVIDIA apex is not installed"),
        (ApexKind.UNRELATED, "not NVIDIA's, but another package"),
        (ApexKind.WITHOUT_EXTENSIONS, "amp_C cannot be imported"),
        (ApexKind.NVIDIA, "NVIDIA apex needs a GPU"),
    ],
)
def test_where_apex_cannot_be_used_auto_says_why_and_apex_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: ApexKind, what: str
) -> None:
    monkeypatch.setattr("fastrot.training.optim.find_apex", lambda: kind)
    backend, note = choose_backend(OptimConfig(backend="auto"), CPU, "fp32")
    assert backend == "torch"
    assert what in note
    with pytest.raises(UsageError, match=f"optim.backend is apex, but .*{what}"):
        choose_backend(OptimConfig(backend="apex"), CPU, "fp32")
    assert choose_backend(OptimConfig(), CPU, "fp32")[0] == "torch"


def test_on_a_gpu_apex_is_tried_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastrot.training.optim.find_apex", lambda: ApexKind.NVIDIA)
    faults = iter([None, "a step of its FusedSGD fails: no kernel image"])
    monkeypatch.setattr("fastrot.training.optim.trial", lambda device: next(faults))
    gpu = torch.device("cuda")
    assert choose_backend(OptimConfig(backend="auto"), gpu, "bf16")[0] == "apex"
    backend, note = choose_backend(OptimConfig(backend="auto"), gpu, "bf16")
    assert backend == "torch"
    assert "no kernel image" in note


def test_with_fp16_apex_is_taken_only_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastrot.training.optim.find_apex", lambda: ApexKind.NVIDIA)
    monkeypatch.setattr("fastrot.training.optim.trial", lambda device: None)
    gpu = torch.device("cuda")
    for asked, taken in (("auto", "torch"), ("apex", "apex")):
        config = OptimConfig(backend=asked)
        backend, note = choose_backend(config, gpu, "fp16")
        assert backend == taken
        assert "with fp16 apex's FusedSGD makes the host wait" in note
        assert "wait" not in choose_backend(config, gpu, "bf16")[1]


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (FUSED_SGD, None),
        (FUSED_SGD.replace("p.sub_", "p.add_"), "gives wrong weights"),
        (FUSED_SGD.replace("g = ", "raise RuntimeError('not contiguous') #"), "not contiguous"),
        ("", "FusedSGD fails"),
    ],
)
def test_the_trial_step_finds_what_does_not_work(
    install: Install, code: str, fault: str | None
) -> None:
    install(nvidias(code))
    found = trial(CPU)
    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)


def test_apex_and_torch_go_on_from_each_others_state(install: Install) -> None:
    install(nvidias())
    config = OptimConfig(lr=0.1, momentum=0.9, weight_decay=0.01, decay_norms=False)

    def trained(backends: tuple[Any, Any]) -> list[torch.Tensor]:
        """Make two steps, the second after a checkpoint, by another backend maybe."""
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        state: dict[str, Any] | None = None
        for step, backend in enumerate(backends):
            optimizer = make_optimizer(layer, config, config.lr, backend=backend)
            if state is not None:
                load_optimizer(optimizer, state)
            layer.zero_grad()
            layer(torch.full((1, 3), 1.0 + step)).square().sum().backward()
            optimizer.step()
            state = optimizer.state_dict()
        return [weight.detach().clone() for weight in layer.parameters()]

    expected = trained(("torch", "torch"))
    for backends in (("apex", "apex"), ("torch", "apex"), ("apex", "torch")):
        torch.testing.assert_close(trained(backends), expected)
