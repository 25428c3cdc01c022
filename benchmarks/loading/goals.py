"""Ratios and goals of the loader, from the figures of one run."""

from collections.abc import Mapping, Sequence

from benchmarks.harness.compared import Goal, Ratio
from benchmarks.harness.limits import ratio
from benchmarks.harness.measure import Fact, Outcome
from benchmarks.harness.ratios import paired_ratio
from benchmarks.loading.loader_cases import IN_THREADS, IN_WORKERS, OURS, Sizes, is_compared

TIMES_WORKERS = {"vp9": 1.5, "h264": 1.9}
TIMES_THREADS = {"vp9": 1.15, "h264": 1.4}
"""Goals for the lower end of the interval: threads on files in memory suit torchcodec best."""

GROWTH_MB = 32.0  # a process with torch and DALI has several hundred MB


def ratios(cases: Sequence[Outcome], frames: int) -> list[Ratio]:
    """Return our rate over each peer's on the same files, for RGB clips of ``frames`` frames."""
    compared = [case for case in cases if is_compared(case.facts, frames)]
    found = [
        paired_ratio(_over(peer.facts["codec"], peer.facts["by"]), ours, peer, "clips_per_s")
        for ours in compared
        for peer in compared
        if ours.facts["by"] == OURS != peer.facts["by"]
        if ours.facts["codec"] == peer.facts["codec"]
    ]
    return [ratio for ratio in found if ratio is not None]


def torchcodec_goals(ratios: Sequence[Ratio], codecs: Sequence[str]) -> list[Goal]:
    """Return the goals against torchcodec, in workers and in threads, for the measured codecs."""
    found = {ratio.name: ratio for ratio in ratios}
    hoped = []
    for codec in codecs:
        if codec in TIMES_WORKERS:
            name = _over(codec, IN_WORKERS)
            value = found[name].value if name in found else None
            hoped.append(Goal(name, value, TIMES_WORKERS[codec]))
        if codec in TIMES_THREADS:
            name = _over(codec, IN_THREADS)
            low = found[name].low if name in found else None
            hoped.append(Goal(f"{name}, lower end of the interval", low, TIMES_THREADS[codec]))
    return hoped


def goals(
    cases: Sequence[Outcome],
    found: Mapping[str, Outcome],
    watched: Sequence[Outcome],
    sizes: Sizes,
) -> list[Goal]:
    """Return the goals of the measured codecs, for clips of the first length.

    Args:
        cases: Our cases and the peers' cases, with their facts.
        found: The limits, by name.
        watched: Memory over many clips; ignored if fewer than ``sizes.watched_clips`` were loaded.
        sizes: Sizes of the run.
    """
    rated = [case for case in cases if case.facts["frames"] == sizes.frames[0]]

    def ours(codec: str, modality: str = "rgb", *, augmented: bool = False) -> float | None:
        wanted = (OURS, codec, modality, augmented)
        return next((_rate(case) for case in rated if _who(case) == wanted), None)

    def best_peer(*codecs: str) -> float | None:
        rates = [_rate(c) for c in rated if c.facts["by"] != OURS and c.facts["codec"] in codecs]
        return max((rate for rate in rates if rate is not None), default=None)

    codecs = {str(case.facts["codec"]) for case in rated}
    raw, mjpeg = ours("raw"), ours("mjpeg")
    hoped = []
    if "mjpeg" in codecs:
        name = "mjpeg: times the best peer on the same files"
        hoped.append(Goal(name, ratio(mjpeg, best_peer("mjpeg")), 2.0))
    if "raw" in codecs:
        hoped.append(Goal("raw: times the best peer on raw", ratio(raw, best_peer("raw")), 1.5))
        hoped += [
            Goal(f"raw: share of a plain {name}", ratio(raw, limit.median("clips_per_s")), 0.4)
            for name, limit in found.items()
            if name.startswith("memory copy")
        ]
        hoped += [
            Goal(
                f"raw, {modality}: augmented, share of plain",
                ratio(ours("raw", modality, augmented=True), ours("raw", modality)),
                0.5,
            )
            for modality in ("rgb", "dif")
        ]
    encoded = sorted(codecs - {"raw"})
    if "raw" in codecs and encoded:
        name = "raw: times the best peer that decodes"
        hoped.append(Goal(name, ratio(raw, best_peer(*encoded)), 8.0))
    hoped += [
        Goal(f"{codec}: DIF's share of RGB", ratio(ours(codec, "dif"), rate), 0.5)
        for codec in sorted(codecs)
        if (rate := ours(codec)) is not None
    ]
    hoped += [
        Goal(
            f"{case.name}: MB of growth over {sizes.watched_clips:,}",
            case.median("growth_mb")
            if (case.median("watched_clips") or 0) >= sizes.watched_clips
            else None,
            GROWTH_MB,
            at_most=True,
        )
        for case in watched
    ]
    return hoped


def _over(codec: Fact, peer: Fact) -> str:
    return f"{codec}: {OURS} over {peer}"


def _who(case: Outcome) -> tuple[object, object, object, bool]:
    facts = case.facts
    return facts["by"], facts["codec"], facts["modality"], bool(facts.get("augmented"))


def _rate(case: Outcome) -> float | None:
    return case.median("clips_per_s")
