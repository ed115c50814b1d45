"""snet4core: building footprints from off-nadir pictures, from raster to map layer.

    raster -> scene -> tiles -> maps -> labels -> outlines -> footprints -> layer

`snet4core.detect.detect` says this on one screen. Who may import whom: `snet4core`
imports none of the other packages here; torch only in `model`, `weights`, `runtime_torch`,
`export` and `foreign` (and, where it is asked for by name, in `runtime` and `processes`); OpenVINO
only in `runtime_openvino` and `export`.
"""

__version__ = "0.1.0"
