from .outline import Outlines as Outlines
from .outline import outlines as outlines
