# snet4 in a container: docs/guide/container.md says how to use it.
#
#   docker build -t snet4 .                                                            # CPU
#   docker build -t snet4:training --build-arg EXTRAS=openvino,cluster,train .         # torch, CUDA

# Debian with apt; Python is Debian's, 3.11 or newer.
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates gcc libc6-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/snet4

# Those of pyproject.toml: what computes the network, and what else snet4 is to be able to do.
ARG EXTRAS=openvino,cluster
# Given to pip, such as --extra-index-url with builds of torch for another CUDA, or none.
ARG PIP_OPTIONS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
# Libraries first, without a line of snet4: this layer is kept while only code and texts change.
COPY pyproject.toml ./
COPY tools/project.py tools/project.py
RUN touch LICENSE LICENSES.md README.md \
    && /opt/snet4/bin/pip install ${PIP_OPTIONS} ".[${EXTRAS}]"
# Tests of libraries, pip itself, and OpenVINO's engines and readers that snet4 never asks for:
# those of OpenVINO's own files and, to export what was trained, of PyTorch's models stay.
RUN cd /opt/snet4/lib/python3*/site-packages \
    && for library in numpy scipy skimage networkx pandas sympy distributed shapely; do \
        if [ -d "$library" ]; then find "$library" -type d -name tests -prune -exec rm -rf {} +; fi; \
    done \
    && if [ -d openvino ]; then \
        cd openvino/libs && rm -f libopenvino_intel_[gn]pu_plugin.so cache.json \
        && find . -name 'libopenvino_*_frontend.so*' ! -name '*_ir_*' \
            ! -name '*_pytorch_*' -delete; \
    fi

COPY LICENSE* README.md setup.py ./
COPY cli cli
COPY snet4core snet4core
COPY training training
# With its inner loops compiled; the compiler stays in this stage.
# The version where git does not say it, which is not in here: --build-arg VERSION=0.2.0
ARG VERSION=""
RUN if [ -n "${VERSION}" ]; then printf 'Version: %s\n' "${VERSION}" > PKG-INFO; fi \
    && SNET4_COMPILED=1 /opt/snet4/bin/pip install --no-deps --force-reinstall . \
    && /opt/snet4/bin/pip uninstall --yes --quiet pip

FROM ${BASE}
LABEL org.opencontainers.image.title="snet4" \
    org.opencontainers.image.description="Building footprints from off-nadir satellite pictures" \
    org.opencontainers.image.licenses="MIT"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=build /opt/snet4 /opt/snet4
COPY training/recipes /opt/snet4/recipes
COPY container/test.sh container/train.sh /usr/local/bin/
# Whoever runs it, /out is theirs to write in; a named volume over it stays so.
RUN mkdir -m 1777 /out
# Libraries keep caches in HOME: one that any user may write, and that a read-only root has too.
# The last line is for GPUs: what NVIDIA's runtime is to bring along.
ENV PATH=/opt/snet4/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /out
USER 1000:1000
ENTRYPOINT ["snet4"]
CMD ["--help"]
