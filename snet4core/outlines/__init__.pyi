from .outline import STEPS_PER_PX as STEPS_PER_PX
from .outline import Outlines as Outlines
from .outline import outlines as outlines
from .regularize import RULE as RULE
