"""Checks whether a run can resume from a checkpoint: what it computes must not have changed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastrot.config import Config, to_mapping
from fastrot.distributed.runtime import Runtime
from fastrot.runs.checkpoint import find_checkpoint, load_checkpoint
from fastrot.runs.run_folder import RunFolder
from fastrot.training.result import Standing
from pipelines.errors import FastrotError, UnreadableError, UsageError

# Keys that may differ when a run is resumed, because they do not change what is computed (different kernels
# change the rounding, as does another machine). The store may have moved (its videos are compared
# instead), and micro-batches may be distributed differently (their number is compared). The length of a run
# may change if no schedule depends on it.
FREE = frozenset(
    [
        "name",
        "out",
        "data.store",
        "data.hw_decoder_load",
        "data.threads",
        "data.prefetch",
        "data.broken_share",
        "data.check",
        "eval.batch",
        "model.stem_channels",
        "optim.backend",
        "profile.steps",
        "profile.wait",
        "profile.warmup",
        "log.tensorboard",
        "log.wandb",
        "train.accumulate",
        "train.affinity",
        "train.checkpoint_every",
        "train.compile",
        "train.eval_every",
        "train.keep",
        "train.log_every",
        "train.threads",
        "train.timeout_s",
    ]
)
LENGTH = frozenset(["train.iterations", "train.epochs"])


def config_hash(config: Config) -> str:
    """Return the SHA-256 of a config's values in hexadecimal."""
    return hashlib.sha256(json.dumps(to_mapping(config), sort_keys=True).encode()).hexdigest()


def check_resumable(
    path: Path,
    values: Mapping[str, Any],
    config: Config,
    now: Mapping[str, Any],
    *,
    anyway: bool = False,
) -> list[str]:
    """Compare a checkpoint with the run that resumes from it, and return the relevant differences.

    Args:
        path: Path of the checkpoint, for the message.
        values: The contents of the checkpoint.
        config: The config of the run.
        now: ``videos`` (digest of the selected videos), ``slots`` (micro-batches per step over all
            processes) and ``short_clips`` (see ``TrainingData``) of the run.
        anyway: Allow differences.

    Raises:
        UsageError: There is a relevant difference; the message lists every key.
    """
    by_length = config.optim.schedule in ("onecycle", "cosine")
    free = FREE if by_length else FREE | LENGTH
    # A key that is newer than the checkpoint had its default's effect.
    before = _flat(to_mapping(Config())) | _flat(values["config"])
    after = _flat(to_mapping(config))
    differing = [
        f"{key} was {_written(before.get(key))}, is now {_written(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if key not in free and before.get(key) != after.get(key)
    ]
    if values["videos"] != now["videos"]:
        differing.append("data.split selects different videos")
    if values["slots"] != now["slots"]:
        differing.append(
            f"processes x train.accumulate was {values['slots']}, is now {now['slots']}"
        )
    # Checkpoints of an earlier version contain torch's schedulers: with a warm-up, a sequence of two.
    if config.optim.schedule == "step" and "_schedulers" in values.get("scheduler", {}):
        differing.append(
            "an earlier version counted the drops of the learning rate from the end of the warm-up, this "
            "one counts them from the first step"
        )
    if now["short_clips"] and "short_clips" not in values:  # a version that looped them
        differing.append(
            "some videos are shorter than a clip: an earlier version repeated them from the start, this one "
            "plays them backwards at the end"
        )
    if differing and not anyway:
        raise UsageError(
            f"cannot resume from {path}: the run has changed ({'; '.join(differing)}). Undo the change, "
            "start at step 0 with another name=..., or use the new values with --resume-anyway."
        )
    return differing


@dataclass(frozen=True)
class Saved:
    """A checkpoint to resume from.

    Attributes:
        values: Its contents.
        standing: The results of the run so far.
        notes: Log lines.
        other: Path of the checkpoint if it is another run's, otherwise None.
    """

    values: dict[str, Any]
    standing: Standing
    notes: list[str]
    other: Path | None = None

    @property
    def evaluation_owed(self) -> bool:
        """Whether the run ended before its step was evaluated."""
        return bool(self.values.get("evaluation_owed", False))


def find_saved(
    folder: RunFolder,
    runtime: Runtime,
    config: Config,
    now: Mapping[str, Any],
    *,
    own: bool,
    other: Path | str | None,
    anyway: bool,
) -> Saved | None:
    """Return the newest readable checkpoint of a run, checked against its config; None if there is none.

    A run that begins at another run's checkpoint has no best network of its own yet.

    Args:
        folder: Folder of the run.
        runtime: All of its processes must call this function.
        config: Config of the run.
        now: As in ``check_resumable``.
        own: Look for checkpoints of the run itself.
        other: Checkpoint, or folder, of the run to begin from if there is no own one.
        anyway: Allow differences.

    Raises:
        UsageError: There is a relevant difference.
        FastrotError: No checkpoint can be read, it is from another version, or it was replaced while the
            processes read it.
    """
    values: dict[str, Any] | None = None

    def find() -> tuple[Path | None, Path | None, list[str]]:
        nonlocal values
        path, values, notes = newest_good(folder.candidates() if own else [])
        if path is not None or other is None:
            if other is not None:
                notes.append(
                    f"--resume-from {other} is ignored: the run continues from its own {path}"
                )
            return path, None, notes
        path = find_checkpoint(other)
        values = load_checkpoint(path)
        return path, path, [f"beginning from {path}"]

    path, begun, notes = runtime.on_main(find)
    if path is None:
        return None
    if values is None:  # not the first process, which has already loaded it
        values = load_checkpoint(path)
    _require_same(path, values, runtime)
    try:
        changes = check_resumable(path, values, config, now, anyway=anyway)
        standing = Standing(**values["standing"])
        missing = {"positions", "rng", "optimizer", "scaler", "totals"} - set(values)
        if missing or not isinstance(values["rng"], list):
            raise KeyError(*sorted(missing or ["rng"]))
    except (KeyError, TypeError) as error:
        raise FastrotError(f"{path} needs the fastrot version that wrote it: {error}") from None
    if changes:
        notes.append(f"resuming with changes: {'; '.join(changes)}")
    if begun is not None:
        standing = replace(standing, eval_accuracy=None, best_accuracy=None)
    return Saved(values, standing, notes, begun)


def _require_same(path: Path, values: Mapping[str, Any], runtime: Runtime) -> None:
    """Check that all processes have the same checkpoint: another run may still replace its ``last.pt``.

    Raises:
        FastrotError: They have not; in all processes.
    """
    digests = runtime.all_bytes(_digest(values)) if runtime.world > 1 else []
    differing = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if differing:
        raise FastrotError(
            f"{path} is another checkpoint in rank {', '.join(map(str, differing))} than in rank 0: it was "
            "replaced while the processes read it, or is another file on another machine. Start again, or "
            "choose a checkpoint that is not replaced, such as step-*.pt, on a shared file system."
        )


def _digest(values: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a checkpoint's step and weights."""
    digest = hashlib.sha256(str(values.get("step")).encode())
    for name, weight in values.get("model", {}).items():
        digest.update(name.encode())
        if isinstance(weight, Tensor):
            digest.update(weight.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def newest_good(
    candidates: Sequence[Path],
) -> tuple[Path | None, dict[str, Any] | None, list[str]]:
    """Return the first intact checkpoint, its contents, and a line about each damaged one before it.

    Args:
        candidates: Checkpoints of one run, newest first. If empty, the path and contents are None.

    Raises:
        UnreadableError: The system cannot read a checkpoint that may be intact. Falling back to an older one
            would lose steps.
        FastrotError: There are checkpoints, but none is intact.
    """
    errors = []
    for path in candidates:
        try:
            values = load_checkpoint(path)
        except UnreadableError:
            raise
        except FastrotError as error:
            errors.append(str(error))
            continue
        return path, values, [f"{error}; using {path} instead" for error in errors]
    if errors:
        raise FastrotError(
            f"no checkpoint of the run can be read: {'; '.join(errors)}. "
            "Remove the run's folder to start again."
        )
    return None, None, []


def _written(value: object) -> str:
    """Return a config's value as it is written there: JSON is YAML."""
    return json.dumps(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
