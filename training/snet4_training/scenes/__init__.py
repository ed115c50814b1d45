"""Renders synthetic places from any direction, with exact ground truth.

place = make_place(rng)                    # what is there, in one light
picture = render(place, look, rng)         # how one satellite sees it
buildings = truth(place)                   # the same for every look
"""

from snet4_training.scenes.collects import random_look
from snet4_training.scenes.place import KINDS, make_place, truth
from snet4_training.scenes.render import render
from snet4_training.scenes.sensor import PLAIN, WORLDVIEW2, Sensor, random_sensor
from snet4_training.scenes.world import Building, Place, Sun
from snet4core.look.names import SPACENET4_LOOKS, Collect

__all__ = [
    "KINDS",
    "PLAIN",
    "SPACENET4_LOOKS",
    "WORLDVIEW2",
    "Building",
    "Collect",
    "Place",
    "Sensor",
    "Sun",
    "make_place",
    "random_look",
    "random_sensor",
    "render",
    "truth",
]
