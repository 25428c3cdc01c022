"""The log lines of a run: its start, its averages, and the clips that were replaced."""

from dataclasses import asdict

from fastrot.evaluation.unreadable import of_all_processes
from fastrot.training.clock import Clock
from fastrot.training.optim import scaled_lr
from fastrot.training.pace import cpu_note
from fastrot.training.start import Start
from pipelines.loading.batches import BatchLoader


def opening_lines(start: Start) -> list[str]:
    """Return the first lines of the log: device, data, schedule and start step."""
    config, runtime, task, step = start.config, start.runtime, start.task, start.trainer.step
    optim, batch = config.optim, config.train.batch
    lines = [
        runtime.describe(),
        f"{config.task}, {task.answer}, {start.data.videos} videos of {config.data.store} "
        f"(split {config.data.split}), batch {batch} videos = {batch * task.views} clips per step, "
        f"{start.steps} steps, init {config.init}",
    ]
    if optim.lr_batch:
        lines.append(
            f"learning rate {scaled_lr(optim, batch):g} = optim.lr {optim.lr:g} x batch {batch} / "
            f"optim.lr_batch {optim.lr_batch}, {batch // runtime.world} videos per process"
        )
    lines += [start.trainer.optimizer_note, start.folder.note, start.data.note, *start.notes]
    if step:
        lines.append(f"resuming after step {step}")
    if start.evaluation_owed:
        lines.append(f"step {step} has not been evaluated yet: evaluating it first")
    if runtime.is_main:
        clips = (start.steps - step) * batch * task.views
        lines.append(cpu_note(clips * start.flops, runtime) or "")
    return [line for line in lines if line]


def log_window(start: Start, loader: BatchLoader, clock: Clock) -> None:
    """Record the averages since the last call. Every rotation counts as a clip.

    Raises:
        FastrotError: The loss is no longer finite.
    """
    trainer, folder, standing = start.trainer, start.folder, start.standing
    batch, views = start.config.train.batch, start.task.views
    trainer.require_finite(folder.last)
    log_replaced(start, loader)
    window = trainer.close_window()
    lap = clock.lap(trainer.step)
    standing.loss, standing.accuracy = window.loss, window.accuracy
    standing.seconds = clock.seconds
    videos_per_s = lap.steps * batch / lap.seconds
    more = "".join(
        f"  {name} accuracy {100 * accuracy:.1f} %" for name, accuracy in window.further.items()
    )
    values = {
        "step": trainer.step,
        "samples": trainer.step * batch,
        "loss": window.loss,
        "accuracy": window.accuracy,
        **{f"{name}_accuracy": accuracy for name, accuracy in window.further.items()},
        "lr": window.lr,
        "clips": window.clips,
        "clips_per_s": videos_per_s * views,
        "videos_per_s": videos_per_s,
        # Of all processes, without padded channels and recomputation.
        "useful_tflop_per_s": videos_per_s * views * start.flops / 1e12,
        "data_wait_share": lap.waited / lap.seconds,
        "clips_replaced": standing.replaced,
        **clock.loader_figures(),
        "seconds": clock.seconds,
    }
    folder.record(values)
    folder.log(
        f"step {trainer.step}/{start.steps}  loss {window.loss:.4f}  "
        f"accuracy {100 * window.accuracy:.1f} %{more}  lr {window.lr:.3g}  "
        f"{values['clips_per_s']:.1f} clips/s  data wait {100 * values['data_wait_share']:.0f} %  "
        f"{values['useful_tflop_per_s']:.3g} TFLOP/s"
    )


def log_replaced(start: Start, loader: BatchLoader) -> None:
    """Count the clips that were replaced in any process, and list them in the log and the metrics.

    This is a collective operation: all processes must call it.
    """
    folder, step, replaced = start.folder, start.trainer.step, loader.take_replaced()
    clips = of_all_processes(replaced, start.runtime)
    for clip in clips:
        folder.log(f"step {step}  clip {clip.sample} replaced by clip {clip.by}: {clip.reason}")
    if clips:
        folder.record({"step": step, "replaced": [asdict(clip) for clip in clips]})
    start.standing.replaced += len(clips)
