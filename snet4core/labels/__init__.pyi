from .joiner import Joiner as Joiner
from .joiner import OpenComponents as OpenComponents
from .labels import Labels as Labels
from .runs import joined as joined
from .runs import of_labels as of_labels
from .runs import positions as positions
