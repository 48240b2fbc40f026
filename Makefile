# make           set up .venv, run everything, end at reports/index.html
# make test      set up .venv, check style and types, run the tests (a tiny run of the workflow among them)
# make help      the other targets

PYTHON ?= python3
CORES ?= all
PIP_ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
TINY := scratch/smoke

export DVC_NO_ANALYTICS := 1
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: all setup setup-slurm setup-gpu lock-gpu test test-slow test-slurm smoke report lint format lock clean help

all: $(READY)
	@$(SNAKEMAKE)
	@$(BIN)/habits record
	@echo "Done. Open $(CURDIR)/reports/index.html"

setup: $(READY)

$(READY): pyproject.toml envs/cpu/requirements.txt
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not there. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is `$(PYTHON) --version 2>&1`; 3.11 or newer is needed. Name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up .venv (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install $(PIP_ARGS) --quiet --constraint envs/cpu/requirements.txt --editable '.[dev]'
	@touch $@

test: lint
	$(BIN)/python -m pytest -m 'not slow and not slurm' --numprocesses logical --maxprocesses 8 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Starts a Slurm of one node for itself (Debian, Ubuntu: apt install slurm-wlm munge).
test-slurm: setup-slurm
	$(BIN)/python -m pytest -m slurm -rs

setup-slurm: $(READY)
	@$(BIN)/python -m pip install $(PIP_ARGS) --quiet --constraint envs/cpu/requirements.txt --editable '.[slurm]'

# verl and vLLM for GPUs, beside the default environment and apart from it (envs/gpu/README.md).
setup-gpu: $(READY)
	@test -x .venv-gpu/bin/python || $(BIN)/uv venv --python 3.12 .venv-gpu
	$(BIN)/uv pip sync --python .venv-gpu envs/gpu/requirements.txt
	$(BIN)/uv pip install --python .venv-gpu --no-build-isolation --no-deps flash-attn==2.8.3

lock-gpu: $(READY)
	@{ sed -n '/^#/p' envs/gpu/requirements.txt; \
	   $(BIN)/uv pip compile --quiet --no-header --no-annotate --python-version 3.12 \
	     --python-platform x86_64-manylinux_2_28 envs/gpu/requirements.in; } > .venv/lock-gpu
	@mv .venv/lock-gpu envs/gpu/requirements.txt

# The whole workflow at tiny sizes, in a working directory of its own.
smoke: $(READY)
	@$(SNAKEMAKE) --configfile workflow/presets/smoke.yaml --directory $(TINY)
	@echo "Done. Open $(CURDIR)/$(TINY)/reports/index.html"

report: $(READY)
	@$(SNAKEMAKE) --forcerun report
	@echo "Done. Open $(CURDIR)/reports/index.html"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow

lock: setup-slurm
	@{ sed -n '/^#/p' envs/cpu/requirements.txt; \
	   $(BIN)/python -m pip freeze --exclude-editable | grep -v '^habits' | sed 's/+cpu//'; } > .venv/lock
	@cp .venv/lock envs/cpu/requirements.txt
	@{ sed '/- pip:$$/q' envs/cpu/environment.yaml; \
	   sed -n '/^dependencies/,/^]/s/^ *"\(.*\)",/      - \1/p' pyproject.toml; } > .venv/environment
	@cp .venv/environment envs/cpu/environment.yaml
	@touch $(READY)

# Caches and the tiny run only; results, data and unfinished training stay.
clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis $(TINY)
	find workflow tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@sed -n '1,/^$$/p' Makefile
	@echo "make smoke     the whole workflow at tiny sizes, in $(TINY)"
	@echo "make report    write the report again"
	@echo "make test-slow the tests that take minutes"
	@echo "make test-slurm the workflow through a real Slurm (README, On a cluster);  make setup-slurm  the plugin for it"
	@echo "make setup-gpu verl and vLLM for GPUs in .venv-gpu;  make lock-gpu  resolves them again"
	@echo "make lint      style, formatting and types;  make format  repairs what it can"
	@echo "make lock      write the installed versions to envs/cpu/requirements.txt"
	@echo "make clean     remove caches; results, data and unfinished training stay"
	@echo "Variables: CORES=2  PYTHON=python3.12  PIP_ARGS='--index-url ...'"
