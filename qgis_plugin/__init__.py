"""snet4 in QGIS. Everything that needs QGIS waits until QGIS asks for it."""


def classFactory(iface):
    """The plugin, as QGIS loads it; `iface` is None in qgis_process."""
    from .plugin import Snet4Plugin

    return Snet4Plugin(iface)
