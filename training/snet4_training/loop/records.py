"""Writes log, validation pictures and TensorBoard curves of a run.

Only the first of several processes does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snet4_training.loop.curves import Curves
from snet4_training.loop.pace import Lately
from snet4_training.recipe import Recipe
from snet4_training.validation import gallery
from snet4_training.validation.gallery import Gallery
from snet4core.errors import OutputError

LOG, PICTURES = "log.jsonl", "pictures"
"""In the run's folder."""

Scores = Mapping[str, Mapping[str, float]]
"""By `source/category`, then by the name of the figure."""


@dataclass(frozen=True, slots=True)
class Records:
    """Writers of a run's log, pictures and curves."""

    out: Path
    """The run's folder."""
    curves: Curves | None
    """With `train.tensorboard`; else None."""

    @staticmethod
    def of(recipe: Recipe, out: Path, step: int) -> Records:
        """The records of a run that starts, or resumes after `step`."""
        return Records(out, Curves(out, step) if recipe.train.tensorboard else None)

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Log the start, or the resumption, of the run."""
        self._log({"event": "start", **facts})

    def stepped(self, step: int, lately: Lately, learning_rate: float, seconds: float) -> None:
        """Log loss and waiting time of the latest steps, learning rate and elapsed time."""
        self._log(
            {
                "step": step,
                "loss": lately.loss,
                "waiting": round(lately.waiting, 4),
                "learning_rate": learning_rate,
                "seconds": round(seconds, 1),
            }
        )
        if self.curves:
            points = {
                "loss": lately.loss,
                "waiting": lately.waiting,
                "learning rate": learning_rate,
            }
            self.curves.numbers(step, {f"train/{name}": value for name, value in points.items()})

    def validated(self, step: int, scores: Scores, score: float | None, shown: Gallery) -> None:
        """Log the scores of a validation and save its picture."""
        self._log({"step": step, "validation": scores, "score": score})
        picture = shown.drawn()
        if picture is not None:
            gallery.keep(picture, self.out / PICTURES, step)
        if self.curves is None:
            return
        self.curves.numbers(step, curves_of(scores, score))
        if picture is not None:
            self.curves.picture(step, "validation", picture)

    def close(self) -> None:
        """Close the event file, if any."""
        if self.curves:
            self.curves.close()

    def _log(self, entry: Mapping[str, Any]) -> None:
        path = self.out / LOG
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as problem:
            raise OutputError(
                f"{path} cannot be written ({problem.strerror}); make room, and go on from the "
                "checkpoint with --resume."
            ) from None


def begun_with(out: Path) -> dict[str, Any]:
    """The recipe that the run in `out` was last started with, from its log; empty without one."""
    try:
        lines = (out / LOG).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        if isinstance(entry, dict) and entry.get("event") == "start":
            return dict(entry.get("recipe", {}))
    return {}


def curves_of(scores: Scores, score: float | None) -> dict[str, float]:
    """The figures of each source and category, and the overall score, as points of curves.

    >>> curves_of({"scenes/nadir": {"f1": 0.5, "iou": 0.6, "truths": 9}}, 0.5)
    {'f1/scenes nadir': 0.5, 'iou/scenes nadir': 0.6, 'validation/score': 0.5}
    """
    points = {
        f"{figure}/{name.replace('/', ' ')}": values[figure]
        for name, values in scores.items()
        for figure in ("f1", "iou", "height_error")
        if figure in values
    }
    return points if score is None else {**points, "validation/score": score}
