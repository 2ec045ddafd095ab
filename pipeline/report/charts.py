"""Small charts: values as the points of an SVG path, binned so that a page with thousands of partitions stays small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: The drawing is as many units wide, whatever its size on the page.
WIDTH, HEIGHT = 200, 50
#: What the last step is wide: the value that holds at the end has to be seen.
_LAST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart.

    Attributes:
        title: what is shown.
        top: the highest value, as text.
        left, right: where the horizontal axis begins and ends, as text.
        path: the area, in a box of `WIDTH` by `HEIGHT`.
    """

    title: str
    top: str
    left: str
    right: str
    path: str


def area_path(points: Sequence[tuple[float, float]]) -> str:
    """The area below steps through `points`, which are in ascending order of x; one step a unit of the width at most.

    >>> area_path([(0, 1), (5, 2), (10, 4)])
    'M0,50V38H97V25H194V0H200V50Z'
    """
    if not points:
        return ""
    (low, _), (high, _), top = points[0], points[-1], max(y for _, y in points) or 1
    steps: dict[int, float] = {}
    for x, y in points:
        at = round((x - low) / ((high - low) or 1) * (WIDTH - _LAST))
        steps[at] = max(y, steps.get(at, y))
    path = [f"M0,{HEIGHT}"]
    for number, (at, y) in enumerate(steps.items()):
        level = HEIGHT - round(y / top * HEIGHT)
        path.append((f"H{at}" if number else "") + f"V{level}")
    return "".join(path) + f"H{WIDTH}V{HEIGHT}Z"
