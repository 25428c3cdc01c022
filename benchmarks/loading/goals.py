"""Goals of the loader, as ratios of figures from one run."""

from collections.abc import Mapping, Sequence

from benchmarks.harness.limits import ratio
from benchmarks.harness.measure import Goal, Outcome
from benchmarks.loading.loader_cases import OURS, Sizes

GROWTH_MB = 32.0  # a process with torch and DALI has several hundred MB


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


def _who(case: Outcome) -> tuple[object, object, object, bool]:
    facts = case.facts
    return facts["by"], facts["codec"], facts["modality"], bool(facts.get("augmented"))


def _rate(case: Outcome) -> float | None:
    return case.median("clips_per_s")
