# One command for each thing a newcomer wants; `make help` lists them.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types bench bundle docs clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install the tool with its test tools

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m compileall -q detector
	@touch $@

demo: install ## write a sample incident, read it, and print the timeline of what was found
	$(BIN)/python -m detector.demo

test: install ## run all tests
	$(BIN)/python -m pytest -n 2 -q

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install ## print speed and memory figures, with what they were measured on
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.rules

bundle: install ## build dist/bundle: wheels from which an offline machine installs
	$(BIN)/python tools/bundle.py

docs: install ## write docs/cli.md and the output in the READMEs from runs of the program
	$(BIN)/python tools/cli_reference.py
	$(BIN)/python tools/readme_output.py

clean: ## remove what the targets above made (never a case folder of yours)
	rm -rf $(VENV) dist demo bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
