from . import score as score
from .errors import Snet4Error as Snet4Error
from .footprints.footprints import Footprints as Footprints
from .look.look import Look as Look
from .parts.face import Detected as Detected
from .parts.face import detect as detect
from .parts.face import load_model as load_model
from .parts.face import polygonize as polygonize
from .parts.plan import Choices as Choices
from .settings import ShapeSettings as ShapeSettings

__version__: str
