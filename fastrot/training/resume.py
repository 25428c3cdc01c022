"""May this run go on from that checkpoint? Only where what it computes has not changed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastrot.config import Config, to_mapping
from fastrot.distributed.runtime import Runtime
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.runs.run_folder import RunFolder
from fastrot.training.result import Standing
from pipelines.errors import FastrotError, UnreadableError, UsageError

# What may differ between a run and its continuation, for it does not change what is computed (whose
# kernels do it changes the rounding, as another machine does). The store may have moved (its videos
# are compared instead), and micro-batches may be shared out otherwise (their number is compared). A
# run may be made longer where no schedule depends on its length.
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
    """Return the SHA-256 of a config's values, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(to_mapping(config), sort_keys=True).encode()).hexdigest()


def check_resumable(
    path: Path,
    values: Mapping[str, Any],
    config: Config,
    now: Mapping[str, Any],
    *,
    anyway: bool = False,
) -> list[str]:
    """Compare a checkpoint with the run that would go on from it; return what differs and matters.

    Args:
        path: the checkpoint's, for the message.
        values: what was loaded from it.
        config: the run's.
        now: ``videos`` (digest of the chosen videos), ``slots`` (micro-batches a step over all
            processes) and ``short_clips`` (see ``TrainingData``) of the run.
        anyway: allow differences.

    Raises:
        UsageError: something that matters differs; the message names every key.
    """
    by_length = config.optim.schedule in ("onecycle", "cosine")
    free = FREE if by_length else FREE | LENGTH
    before, after = _flat(values["config"]), _flat(to_mapping(config))
    differing = [
        f"{key}: {before.get(key)!r} then, {after.get(key)!r} now"
        for key in sorted(before.keys() | after.keys())
        if key not in free and before.get(key) != after.get(key)
    ]
    if values["videos"] != now["videos"]:
        differing.append("the videos of data.split are others than then")
    if values["slots"] != now["slots"]:
        differing.append(
            f"processes x train.accumulate: {values['slots']} then, {now['slots']} now"
        )
    # Checkpoints of an earlier version hold torch's schedulers: where there was a warm-up, a sequence of two.
    if config.optim.schedule == "step" and "_schedulers" in values.get("scheduler", {}):
        differing.append(
            "the learning rate's drops were counted from the end of the warm-up then, and are counted "
            "from the first step now"
        )
    if now["short_clips"] and "short_clips" not in values:  # of a version in which they looped
        differing.append(
            "some videos are shorter than a clip: their clips jumped to the start then, and turn back at "
            "the end now"
        )
    if differing and not anyway:
        raise UsageError(
            f"{path} cannot be resumed, because the run has changed ({'; '.join(differing)}): "
            "undo the change, start a new run with another name=..., or resume with the new values by "
            "--resume-anyway"
        )
    return differing


@dataclass(frozen=True)
class Saved:
    """A checkpoint to resume from: its values, how the run stood, and lines for the log."""

    values: dict[str, Any]
    standing: Standing
    notes: list[str]

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
    anyway: bool,
) -> Saved | None:
    """Return the newest good checkpoint of a run, checked against its config; None where there is none.

    Args:
        folder: the run's.
        runtime: all of its processes call this together.
        config: the run's.
        now: as in ``check_resumable``.
        anyway: allow differences.

    Raises:
        UsageError: something that matters differs.
        FastrotError: no checkpoint can be read, or it is of another version.
    """
    values: dict[str, Any] | None = None

    def find() -> tuple[Path | None, list[str]]:
        nonlocal values
        path, values, notes = newest_good(folder.candidates())
        return path, notes

    path, notes = runtime.on_main(find)
    if path is None:
        return None
    if values is None:  # the first process has read it already
        values = load_checkpoint(path)
    try:
        changes = check_resumable(path, values, config, now, anyway=anyway)
        standing = Standing(**values["standing"])
        missing = {"positions", "rng", "optimizer", "scaler", "totals"} - set(values)
        if missing or not isinstance(values["rng"], list):
            raise KeyError(*sorted(missing or ["rng"]))
    except (KeyError, TypeError) as error:
        raise FastrotError(f"{path} is of another version of fastrot: {error}") from None
    if changes:
        notes.append(f"resuming with changes: {'; '.join(changes)}")
    return Saved(values, standing, notes)


def newest_good(
    candidates: Sequence[Path],
) -> tuple[Path | None, dict[str, Any] | None, list[str]]:
    """Return the first checkpoint that is whole, what is in it, and a sentence about each one before it.

    Args:
        candidates: of one run, the newest first; none make the answer None.

    Raises:
        UnreadableError: the system refuses to read one, which may be whole: an older one would lose steps.
        FastrotError: there are some, and none can be read.
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
            f"no checkpoint of the run can be read: {'; '.join(errors)}. Remove its folder to begin again"
        )
    return None, None, []


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
