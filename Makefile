# Each target does its own set-up on a machine that has Python 3.10 or later and make; nothing else has to be typed.

PYTHON ?= python3
INSTALL = .venv/bin/python -m pip install --quiet -c constraints.txt

.PHONY: search test lint types format docs clean

search: .venv/search.stamp  ## the main job on the digits inside scikit-learn: search, audit, retrain, report
	.venv/bin/palmette search --out runs/digits --resume

test: .venv/test.stamp  ## all tests, those on real data included where ../shared/data or PALMETTE_DATA has it
	.venv/bin/python -m pytest -n auto --dist loadfile

lint: .venv/test.stamp
	.venv/bin/ruff check
	.venv/bin/ruff format --check

types: .venv/test.stamp
	.venv/bin/mypy

docs: .venv/test.stamp  ## the pages as a site in build/site, to be read without a network
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

format: .venv/test.stamp
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache

.venv/search.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

.venv/test.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[datasets,docs,onnx,optuna,ray,test]'
	touch .venv/search.stamp $@

.venv/bin/python:
	$(PYTHON) -m venv .venv
