# Each target does all its own set-up in .venv; a stamp file remembers that it was done.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: quickstart theory test lint clean

quickstart: .venv/core.stamp
	$(BIN)/textlatent train quickstart
	-$(BIN)/textlatent diagnose runs/quickstart
	$(BIN)/textlatent sample runs/quickstart --count 10
	$(BIN)/textlatent reconstruct runs/quickstart --show 5
	$(BIN)/textlatent interpolate runs/quickstart "the child repairs his old boat ." "did the wise singers write their song ?"
	$(BIN)/textlatent report runs/quickstart

theory: .venv/core.stamp
	$(BIN)/textlatent theory

test: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

# torch comes first and pinned: left to the other packages, pip would choose the newest, with gigabytes of CUDA.
.venv/core.stamp: pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "textlatent needs Python >= 3.11, and no python3 here is; give one: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -e .
	touch $@

.venv/dev.stamp: .venv/core.stamp
	$(PIP) -e .[dev]
	touch $@
