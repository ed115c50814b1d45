"""Learning-rate schedules, and the end of training by steps, time or early stopping."""

from __future__ import annotations

import math

from snet4_training.loop.checkpoint import State
from snet4_training.recipe import TrainRecipe


def learning_rate(recipe: TrainRecipe, step: int, seconds: float, drops: int = 0) -> float:
    """Linear warm-up, then what the recipe's schedule says; `drops` counts the plateaus.

    >>> recipe = TrainRecipe(steps=100, warmup_steps=10, learning_rate=1.0)
    >>> [round(learning_rate(recipe, step, 0.0), 2) for step in (0, 9, 55, 100)]
    [0.1, 0.98, 0.43, 0.01]
    """
    done = step / recipe.steps
    if recipe.minutes:
        done = max(done, seconds / (60 * recipe.minutes))
    share = {
        "cosine": 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))),
        "step": recipe.decay ** (step // recipe.decay_steps),
        "plateau": recipe.decay**drops,
        "constant": 1.0,
    }[recipe.schedule]
    return recipe.learning_rate * min(1.0, (step + 1) / max(1, recipe.warmup_steps)) * share


def finished(recipe: TrainRecipe, state: State) -> bool:
    """Whether steps or time are used up, or early stopping applies."""
    return (
        state.step >= recipe.steps
        or bool(recipe.minutes and state.seconds >= 60 * recipe.minutes)
        or bool(recipe.early_stop and state.stale >= recipe.early_stop)
    )


def take_score(recipe: TrainRecipe, state: State, score: float) -> bool:
    """Record a validation's score in the state; returns whether it is the best so far."""
    if score > state.best:
        state.best, state.stale = score, 0
        return True
    state.stale += 1
    if state.stale % recipe.patience == 0:
        state.drops += 1
    return False


def steps_in_all(recipe: TrainRecipe, state: State) -> int:
    """Expected number of steps at the end of the run, at the pace so far.

    With `minutes` the time may be up before the steps are; whether `early_stop` comes first,
    nobody knows.
    """
    if not recipe.minutes or state.seconds <= 0:
        return recipe.steps
    in_time = round(state.step * 60 * recipe.minutes / state.seconds)
    return max(state.step, min(recipe.steps, in_time))
