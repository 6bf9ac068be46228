# `make demo` runs the main job, `make test` passes the tests, `make smoke` is the tiny run.
# `make resume CONFIG=my.yaml` goes on with a run that was killed, without CONFIG with the demo.
# Each makes its environment first, in .venv.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)

.PHONY: demo smoke nyuv2 study resume test lint format pages clean
.DELETE_ON_ERROR:

demo: .venv/run
	$(SNAKEMAKE)

smoke: .venv/run
	$(SNAKEMAKE) --configfile config/smoke.yaml

nyuv2: .venv/run
	$(SNAKEMAKE) --configfile config/nyuv2.yaml

study: .venv/study
	$(SNAKEMAKE) derive_targets --configfile config/study.yaml
	$(SNAKEMAKE) --configfile config/study.yaml

# A run that was killed leaves its lock, and files that are not whole. CONFIG may name several files.
resume: .venv/run
	$(SNAKEMAKE) --unlock $(if $(CONFIG),--configfile $(CONFIG))
	$(SNAKEMAKE) --rerun-incomplete $(if $(CONFIG),--configfile $(CONFIG))

test: .venv/dev lint
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# Writes tables and numbers into the pages, from results/reference.
pages: .venv/dev
	$(BIN)/python tests/pages.py

# Not .snakemake, which knows what results/ was made with: without it no change would be noticed.
clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/run: requirements.txt constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt --constraint constraints.txt
	touch $@

# Some of these packages name old versions of what they need.
.venv/study: requirements-study.txt .venv/dev
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-study.txt
	touch $@

.venv/dev: requirements-dev.txt requirements-networks.txt .venv/run
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	touch $@
