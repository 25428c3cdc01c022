"""Curves as inline SVG, without scripts or other files."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastrot.report.markup import element, text

WIDTH, HEIGHT = 420, 220  # units of the viewBox
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 30
POINTS = 200  # per curve; more are indistinguishable at this width


@dataclass(frozen=True)
class Curve:
    """One line: its name and its points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most ``POINTS`` of the points, evenly spaced, including the first and the last."""
    if len(points) <= POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(at * last / (POINTS - 1))] for at in range(POINTS)]


def chart(title: str, unit: str, curves: Sequence[Curve]) -> str:
    """Draw curves over the steps. Return an ``<svg>``, or an empty string if there are no points."""
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return ""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    left, right = min(xs), max(xs)
    low, high = min(ys), max(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_label(LEFT, 16, f"{title}, {unit}" if unit else title, anchor="start", bold=True)]
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        _, y = place(left, value if high > low else low)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
        )
        parts.append(_label(LEFT - 6, y + 4, f"{value:.3g}", anchor="end"))
        if high == low:
            break
    for value, side in ((left, "start"), (right, "end")):
        parts.append(_label(place(value, low)[0], HEIGHT - 10, f"{value:,.0f}", anchor=side))
    parts.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "steps", anchor="middle"))
    for number, curve in enumerate(curves):
        points = [place(x, y) for x, y in thinned(curve.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" class="line c{number % 4}"/>')
        if len(points) == 1:
            parts.append(
                f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3" class="dot c{number % 4}"/>'
            )
        if len(curves) > 1:
            parts.append(
                _label(WIDTH - RIGHT, 16 + 13 * number, curve.name, anchor="end", colour=number)
            )
    return element(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title} over steps",
    )


def _label(
    x: float, y: float, content: str, *, anchor: str, bold: bool = False, colour: int | None = None
) -> str:
    kind = "bold" if bold else "" if colour is None else f"text c{colour % 4}"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{text(content)}</text>'
