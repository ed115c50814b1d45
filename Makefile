# One name per chore. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-full plugin clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "snet4 needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[openvino]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.run

demo: $(VENV)/.run ## render a scene, find its houses, write demo/
	$(BIN)/snet4 demo --output demo --overwrite

test: $(VENV)/.dev ## run every test that this machine can run
	$(BIN)/python -m pytest

lint: $(VENV)/.dev ## ruff and mypy, both strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## benchmarks of a few minutes
	$(BIN)/python -m benchmarks --quick

bench-full: $(VENV)/.bench ## every benchmark
	$(BIN)/python -m benchmarks --full

plugin: ## the QGIS plugin: build/plugins/snet4/ and build/snet4-<version>.zip
	$(PYTHON) tools/make_plugin.py

clean: ## remove what the other targets made, but not the environment
	rm -rf build demo benchmarks/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
