from .joiner import Joiner as Joiner
from .joiner import OpenComponents as OpenComponents
from .labels import Labels as Labels
from .runs import positions as positions
