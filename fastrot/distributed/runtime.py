"""The runtime of a process: device, rank, precision, memory format, threads. Created once per run.

Everything that differs between a laptop and a GPU node is decided here, so that the training loop
needs no branches for it.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from fastrot.config.schema import Precision
from fastrot.distributed import affinity as affinities
from fastrot.distributed.allocator import keep_freed_memory
from fastrot.distributed.collectives import Collectives
from fastrot.distributed.rollcall import RollCall, fresh_prefix, is_about_others
from fastrot.distributed.thread_count import choose_threads
from pipelines.cores import cores
from pipelines.errors import FastrotError, UsageError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# oneDNN's backward convolution in bf16 corrupts memory on small inputs (torch 2.13, kernels for AVX-512):
# the run hangs or crashes. This applies to all CPUs, since oneDNN chooses the kernels itself.
_ONLY_ON_GPUS: dict[Precision, str] = {
    "bf16": "needs a GPU (on CPUs, torch's 3D convolutions in bf16 can crash or hang)",
    "fp16": "needs a GPU",
}

# oneDNN and cuDNN run 3D convolutions faster with channels innermost: on a 2-core AVX-512 CPU a step takes
# 0.45 s, compared with 0.76 s contiguous (a quarter of the width, 64 clips of 8x56x56, fp32).
MEMORY_FORMAT = torch.channels_last_3d


@dataclass(frozen=True)
class Runtime(Collectives):
    """The ranks, device and settings of one process; a context manager that leaves the process group.

    Attributes:
        threads: Number of torch's compute threads.
        precision: Precision of the network: fp32, bf16 or fp16.
        control: Process group of the hosts, for data that no device needs; None for a single process.
        calls: Finds the process that does not respond; None for a single process.
        cores: Number of this process's own cores, or its even share of the machine's; the default number of
            loader threads.
        threads_chosen_by: Origin of the value of ``threads``, for the log.
    """

    threads: int
    precision: Precision
    control: dist.ProcessGroup | None = None
    calls: RollCall | None = None
    cores: int = 1
    threads_chosen_by: str = "its share of the cores"

    @classmethod
    def start(
        cls,
        precision: Precision = "auto",
        *,
        setting: str = "train.precision",
        threads: int | None = None,
        affinity: bool = True,
        timeout_s: float = 600.0,
    ) -> "Runtime":
        """Read torchrun's environment, set up the process, and join the process group if there is one.

        Args:
            precision: Precision of the network.
            setting: Key or option that sets the precision, for messages.
            threads: Number of torch's compute threads; None: OMP_NUM_THREADS if set, else one per core.
            affinity: Bind each of several processes on this machine to its own cores.
            timeout_s: Seconds after which a process that does not respond counts as lost.

        Raises:
            UsageError: The device does not support the precision.
            FastrotError: There are more processes than GPUs on this machine, or a process does not start.
        """
        rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        local_world = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        device = _device(local_rank)
        # Bind before any thread is started: existing threads keep their cores.
        own = affinities.bind(local_rank, local_world) if affinity else None
        share = own or max(1, cores() // local_world)
        chosen = choose_threads(threads, share)
        torch.set_num_threads(chosen.number)
        keep_freed_memory()
        precision = _precision(precision, device, setting)
        if device.type == "cuda":
            torch.cuda.set_device(device)
            torch.backends.cudnn.benchmark = True
        control, calls = (None, None) if world == 1 else _join(device, timeout_s)
        mine = (chosen.number, precision, control, calls, share, chosen.chosen_by)
        return cls(device, rank, world, *mine)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the network's inputs."""
        return DTYPES[self.precision]

    @property
    def searches_kernels(self) -> bool:
        """Whether inputs of a new shape cost a search for the fastest kernels, by cuDNN on a GPU."""
        return self.device.type == "cuda"

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the autocast context for the network."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.precision != "fp32")

    def grad_scaler(self) -> torch.amp.GradScaler:
        """Return the loss scaler, which is disabled unless the precision is fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, in the runtime's memory format."""
        network.to(device=self.device)
        nn.utils.convert_conv3d_weight_memory_format(network, MEMORY_FORMAT)

    def distribute(
        self, network: nn.Module, *, sync_bn: bool = False, static_graph: bool = False
    ) -> nn.Module:
        """Return the network to train, wrapped to average gradients if there are several processes.

        Args:
            network: Network on the device, with its frozen weights already frozen.
            sync_bn: Compute BatchNorm statistics over all processes.
            static_graph: Whether every backward pass is followed by an exchange of the same gradients. This
                is not the case with accumulated micro-batches or a network compiled in parts.

        Raises:
            UsageError: ``sync_bn`` is set on a CPU, where torch does not support it.
        """
        if sync_bn and self.device.type != "cuda":
            raise UsageError(
                "train.sync_bn is true, but torch's SyncBatchNorm needs GPUs: set it to false"
            )
        if self.world == 1:
            return network
        if sync_bn:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        ids = [self.device.index] if self.device.type == "cuda" else None
        # As views of the exchanged buckets, gradients are neither copied back and forth nor stored twice.
        parallel = DistributedDataParallel(
            network, device_ids=ids, gradient_as_bucket_view=True, static_graph=static_graph
        )
        # The argument of this name is deprecated in newer versions of torch, and would also skip the
        # broadcast at the start.
        parallel.broadcast_buffers = _has_other_buffers(network)
        return parallel

    def wait(self) -> None:
        """Wait until the device has finished its queued work, for example to time a step."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Convert a communication error into one that names the missing process.

        Raises:
            FastrotError: Another process has ended or does not respond.
        """
        try:
            yield
        except RuntimeError as error:
            if self.calls is None or not is_about_others(error):
                raise
            raise FastrotError(self.calls.explain(error)) from None

    def describe(self) -> str:
        """Return a one-line description for the log."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        return (
            f"{name}, {self.world} process(es), {self.threads} threads each "
            f"({self.threads_chosen_by}), {self.precision}, "
            f"{str(MEMORY_FORMAT).removeprefix('torch.')}, torch {torch.__version__}"
        )

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()
        # Do this last: torchrun stops the process that prints soon after another one has exited.
        if isinstance(error, FastrotError) and self.calls is not None:
            error.reported = not self.calls.first_to_report(str(error))


def _join(device: torch.device, timeout_s: float) -> tuple[dist.ProcessGroup, RollCall]:
    """Join the run's process group; return the process group of the hosts and the roll call."""
    store, rank, world = next(rendezvous("env://"))
    store = PrefixStore(fresh_prefix(store, rank, world, timeout_s), store)
    calls = RollCall(PrefixStore("roll", store), rank, world, timeout_s)
    calls.enter()
    timeout = timedelta(seconds=timeout_s)
    gpu = device.type == "cuda"
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        # With a device id the communicator is created now, and NCCL errors appear here, not in a step.
        device_id=device if gpu else None,
        store=PrefixStore("groups", store),
        rank=rank,
        world_size=world,
        # The hosts' group times out first and names the stuck process; an NCCL timeout is an abort.
        timeout=2 * timeout if gpu else timeout,
    )
    control: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=timeout)
    return control, calls


def _has_other_buffers(network: nn.Module) -> bool:
    """Return whether a network has buffers besides BatchNorm's statistics.

    Training does not read these statistics, so processes need not agree on them at every step. Only those of
    rank 0 are saved, and ``share_buffers`` distributes them before an evaluation. Other buffers, as a custom
    task may have, are broadcast from rank 0 before every forward pass.
    """
    norms = (module for module in network.modules() if isinstance(module, _BatchNorm))
    statistics = {id(buffer) for norm in norms for buffer in norm.buffers()}
    return any(id(buffer) not in statistics for buffer in network.buffers())


def require_launcher() -> None:
    """Check that srun has not started several independent processes.

    Raises:
        UsageError: It has. Each process would do all of the work and write to the same files.
    """
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if "WORLD_SIZE" not in os.environ and tasks.isdecimal() and int(tasks) > 1:
        raise UsageError(
            f"srun has started {tasks} tasks (SLURM_STEP_NUM_TASKS), and each would do all of the work: "
            "let srun start torchrun with one task per node (--ntasks-per-node=1), and torchrun one "
            "process per GPU, as scripts/slurm/pretrain.sbatch does"
        )


def accumulating(network: nn.Module) -> AbstractContextManager[Any]:
    """Return the context for all micro-batches except the last: accumulate gradients without exchange."""
    if isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise FastrotError(
            f"process {local_rank} on this machine has no GPU: start torchrun with --nproc-per-node at most "
            f"{torch.cuda.device_count()}, the number of GPUs"
        )
    return torch.device("cuda", local_rank)


def _precision(asked: Precision, device: torch.device, setting: str) -> Precision:
    if device.type == "cpu":
        if asked in _ONLY_ON_GPUS:
            reason = _ONLY_ON_GPUS[asked]
            raise UsageError(f"{setting} is {asked}, which {reason}: choose fp32 or auto")
        return "fp32"
    if asked == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return asked
