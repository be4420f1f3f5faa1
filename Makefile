# Stormdeck: `make run` opens the workstation, `make test` runs the tests. Both set up .venv first.

ifeq ($(OS),Windows_NT)
VENV_PYTHON := .venv/Scripts/python.exe
else
VENV_PYTHON := .venv/bin/python
endif

# the first interpreter that is new enough; `make PYTHON=/path/to/python3.12 run` chooses another
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
endif

.DEFAULT_GOAL := help
.PHONY: help run test fuzz lint screenshot benchmark weights environment environment-dev python clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: environment  ## set up everything and open the workstation on the sample storm
	@platform=$$($(VENV_PYTHON) packaging/system_libraries.py --window) || exit 1; \
	if [ "$$platform" = offscreen ]; then \
	  QT_QPA_PLATFORM=offscreen $(VENV_PYTHON) -m app --demo out; \
	else \
	  $(VENV_PYTHON) -m app; \
	fi

test: environment-dev  ## set up everything and run the tests
	@$(VENV_PYTHON) packaging/system_libraries.py >/dev/null
	QT_QPA_PLATFORM=offscreen $(VENV_PYTHON) -m pytest

fuzz: environment-dev  ## open thousands of damaged files of every format (hours; FUZZ_COUNT=300 for fewer)
	QT_QPA_PLATFORM=offscreen $(VENV_PYTHON) -m pytest tests/fuzz --slow -o log_cli=true -o log_cli_level=INFO

lint: environment-dev  ## ruff, mypy and the import contracts
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy
	$(dir $(VENV_PYTHON))lint-imports

screenshot: environment  ## draw the README's picture anew
	@$(VENV_PYTHON) packaging/system_libraries.py >/dev/null
	$(VENV_PYTHON) packaging/screenshot.py

DATA ?= ../shared/data
benchmark: environment-dev  ## remake docs/benchmark.md from real archives (an hour; DATA=../shared/data)
	$(VENV_PYTHON) packaging/benchmark_tables.py $(DATA) docs/benchmark.md out/benchmark

weights: environment-dev  ## retrain the weights that ship, into out/weights (many hours; DATA=../shared/data)
	$(VENV_PYTHON) packaging/retrain_weights.py $(DATA) out/weights

environment: python
	@$(PYTHON) packaging/setup_environment.py

environment-dev: python
	@$(PYTHON) packaging/setup_environment.py --dev

python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Stormdeck needs Python 3.11 or newer; none was found on PATH. Install one, or name it: make PYTHON=/path/to/python3 run" >&2; \
	  exit 1; \
	fi

clean:  ## remove what these targets made
	rm -rf .venv out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
