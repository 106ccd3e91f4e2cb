# Every target builds the virtual environment it needs. Another Python: make test PYTHON=python3.12 VENV=.venv312
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST = $(BIN)/python -m pytest -q -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-ci test-slow lint types format check clean vsix

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(VENV)/.mini ## Install, record a program, let the bundled model predict it, compare
	@$(BIN)/cwm-trace demo

test: $(VENV)/.dev ## Install everything and run the tests
	$(PYTEST)

test-ci: $(VENV)/.dev ## Run what `make test` leaves to CI: more cases, more examples of every property
	$(PYTEST) --hypothesis-profile ci -m "(ci or hypothesis) and not (slow or vllm)"

test-slow: $(VENV)/.dev ## Run the bigger counts: hours
	$(PYTEST) --hypothesis-profile slow -m "(slow or hypothesis) and not vllm"

lint: $(VENV)/.dev ## Check format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: test lint types ## What must be green before every commit; .ci/run does more

vsix: ## Make the VS Code extension
	$(PYTHON) editors/vscode/pack.py dist/cwm-trace.vsix

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.mini: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[mini]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(wildcard tracer/_recorder/*.[ch]) | $(VENV)/bin/python
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.mini
