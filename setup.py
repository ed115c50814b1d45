"""The one part that is compiled, `snet4core/_kernels.c`; all else is in pyproject.toml.

Without a C compiler, or with SNET4_PURE=1, snet4 is installed without it, and numpy does the same.
With SNET4_COMPILED=1, as releases are built, it is compiled or the build fails.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildKernels(build_ext):
    """Tell the compiler to round after every operation, as numpy does."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type != "msvc":  # which does by itself
            for each in self.extensions:
                each.extra_compile_args = ["-O3", "-ffp-contract=off"]
        super().build_extensions()


SOURCE = "snet4core/_kernels.c"
KERNELS = Extension(
    "snet4core._kernels",
    [SOURCE],
    # `snet4core.kernels` refuses what was compiled from other source than lies beside it.
    define_macros=[
        ("SOURCE_SHA256", hashlib.sha256((Path(__file__).parent / SOURCE).read_bytes()).hexdigest())
    ],
    py_limited_api=True,
    optional=not os.environ.get("SNET4_COMPILED"),
)

# One module for all Pythons from 3.11 on is a matter of CPython's, and of those with a lock.
ONE_FOR_ALL = sys.implementation.name == "cpython" and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)
PURE = bool(os.environ.get("SNET4_PURE")) or not ONE_FOR_ALL

setup(
    ext_modules=[] if PURE else [KERNELS],
    cmdclass={"build_ext": BuildKernels},
    options={} if PURE else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
