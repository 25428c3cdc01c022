"""The numbers in metrics.jsonl as a run of Weights & Biases."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastrot.config import Config, to_mapping
from fastrot.runs.tensorboard import numbers
from pipelines.errors import UsageError, first_line
from pipelines.files import write_file

ID = "wandb_id"
"""File in the run's folder with the id of its W&B run, which a resumed run keeps."""


def require_wandb() -> None:
    """Check that W&B can log, before the run writes anything.

    Raises:
        UsageError: It is not installed, or has no credentials although it is online.
    """
    try:
        import wandb
    except ImportError:
        raise UsageError(
            "log.wandb is set, but Weights & Biases is not installed: run pip install wandb, or leave it out "
            "(metrics.jsonl has the same numbers)"
        ) from None
    # wandb.init would ask for credentials in a terminal, and a job would wait for the answer.
    if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False, verify=False):
        raise UsageError(
            "log.wandb is set, but there are no credentials for Weights & Biases: run wandb login, or set "
            "WANDB_MODE=offline and run wandb sync later"
        )


class WandbRun:
    """A run of W&B. If the service fails, the run says so once in its log and continues without it.

    Args:
        folder: The run's folder; W&B's files go to its subfolder ``wandb``.
        config: The config of the run; ``log.wandb`` is the project.
        log: Receives lines for the log.
    """

    def __init__(self, folder: Path, config: Config, log: Callable[[str], None]) -> None:
        import wandb

        self._log = log
        self._run: Any = None
        number = _id_of(folder)
        try:
            self._run = wandb.init(
                project=config.log.wandb,
                id=number,
                resume="allow",
                name=config.name,
                config=_without_paths(config),
                dir=folder,
                # Standard output is not replaced, and nothing is printed into the progress display.
                settings=wandb.Settings(console="off", silent=True),
            )
        # A full disk, or a service that does not start, raises errors without a common base.
        except Exception as error:
            self._fail(error)
            return
        where = "offline, wandb sync uploads it" if self._run.offline else self._run.url
        log(f"Weights & Biases: project {config.log.wandb}, run {number} ({where})")

    def add(self, values: Mapping[str, Any]) -> None:
        """Add a line of metrics.jsonl, each number under the name of its TensorBoard curve.

        W&B keeps its first values of a step: it ignores those that a resumed run repeats.
        """
        self._try(lambda run: run.log(dict(numbers(values)), step=values["step"]))

    def close(self, *, failed: bool) -> None:
        """Upload what is left, and mark the run as finished or failed."""
        self._try(lambda run: run.finish(exit_code=int(failed)))
        self._run = None

    def _try(self, action: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        # As at the start: no error of the service may end the training.
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._run = None
        self._log(
            f"warning: Weights & Biases has failed and is not used from here on ({first_line(error)}); "
            "metrics.jsonl has all numbers"
        )


def _without_paths(config: Config) -> dict[str, Any]:
    """Return the config's values without those that are paths of this machine, which nobody else needs."""
    values = to_mapping(config)
    del values["out"], values["init"], values["data"]["store"]
    return values


def _id_of(folder: Path) -> str:
    """Return the id in the run's folder, or write a new one."""
    file = folder / ID
    if not file.exists():
        write_file(file, secrets.token_hex(4))
    return file.read_text().strip()
