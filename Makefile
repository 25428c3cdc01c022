# Start with `make demo` and `make test`. Both install into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two workers suit two cores: DALI and the tests' training runs start their own threads and processes.
WORKERS ?= 2
# A test that hangs fails and prints the stacks of all threads. The limit is far above the duration of any test, even
# on a busy machine. A signal cannot interrupt native code, so the timeout uses a thread: it ends the worker, which
# is replaced.
LIMIT_S := 600
PYTEST := $(BIN)/pytest --timeout $(LIMIT_S) --timeout-method thread
PARALLEL := -n $(WORKERS) --dist loadfile

# setup.cfg names the oldest supported Python, and `lint` checks the types for it.
NEWER_PYTHONS := 3.12 3.13

.PHONY: help install demo lint test test-slow test-gpu coverage docs release soak soak-memory format lines clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv with everything needed for development.

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else "fastrot needs Python 3.11 to 3.13, but this is %d.%d: use make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## Run the whole method on generated videos.
	$(BIN)/fastrot demo

lint: install ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## Run lint, then all tests except the slow ones.
	$(PYTEST) $(PARALLEL) -m "not slow"

test-slow: install ## Run the slow tests.
	$(PYTEST) $(PARALLEL) -m slow

test-gpu: install ## Run the tests that need a GPU; they fail without one.
	FASTROT_REQUIRE_GPU=1 $(PYTEST) -m gpu

coverage: install ## Run all tests and report line and branch coverage.
	$(PYTEST) $(PARALLEL) --cov --cov-report term:skip-covered

soak: install ## Interrupt training at random times for ten minutes (SECONDS=60 for one minute).
	$(BIN)/python -m benchmarks.soak --seconds $(or $(SECONDS),600)

soak-memory: install ## Check memory and handles for leaks for thirty minutes (SECONDS=60 for one minute).
	$(BIN)/python -m benchmarks.soak --memory --seconds $(or $(SECONDS),1800)

format: install ## Fix what ruff can fix.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lines: ## Count lines of code, without tests, comments, docstrings and blank lines.
	@$(PYTHON) scripts/count_lines.py

docs: install ## Make the tutorial's notebook and the site in site/; warnings are errors.
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/python scripts/tutorial_notebook.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

release: lint ## Check types for all Pythons, build the sdist and the wheel in dist/, check their descriptions.
	set -e; for version in $(NEWER_PYTHONS); do $(BIN)/mypy --python-version $$version; done
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean: ## Delete the environment and all caches.
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
