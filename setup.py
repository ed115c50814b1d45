"""The one part that is compiled, `snet4core/_kernels.c`; all else is in pyproject.toml.

Without a C compiler, or with SNET4_PURE=1, snet4 is installed without it, and numpy does the same.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildKernels(build_ext):
    """Tell the compiler to round after every operation, as numpy does."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type != "msvc":  # which does by itself
            for each in self.extensions:
                each.extra_compile_args = ["-O3", "-ffp-contract=off"]
        super().build_extensions()


KERNELS = Extension(
    "snet4core._kernels", ["snet4core/_kernels.c"], py_limited_api=True, optional=True
)

setup(
    ext_modules=[] if os.environ.get("SNET4_PURE") else [KERNELS],
    cmdclass={"build_ext": BuildKernels},
    options={} if os.environ.get("SNET4_PURE") else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
