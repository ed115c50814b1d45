from .buildings import Buildings as Buildings
from .gpkg import LAYER as LAYER
from .read import area_in as area_in
from .read import read_buildings as read_buildings
from .reproject import reprojected as reprojected
from .spacenet import image_id as image_id
from .write import check_layer as check_layer
from .write import write_layer as write_layer
