# Two commands on a fresh machine: `make demo` and `make test`. Both install into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A hang must name its test. The limit is far above what any test takes on a busy machine. A signal would not
# interrupt native code, so a thread ends the whole run.
LIMIT_S := 600
PYTEST := $(BIN)/pytest --timeout $(LIMIT_S) --timeout-method thread

.PHONY: install demo test test-gpu soak soak-memory lint format lines docs clean

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else "fastrot needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/fastrot demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(PYTEST)

# On a machine with a GPU: what is marked gpu must run there, not skip.
test-gpu: install
	FASTROT_REQUIRE_GPU=1 $(PYTEST) -m gpu

# Random faults for ten minutes, then memory and handles for thirty; SECONDS=60 makes either short.
soak: install
	$(BIN)/python -m benchmarks.soak --seconds $(or $(SECONDS),600)

soak-memory: install
	$(BIN)/python -m benchmarks.soak --memory --seconds $(or $(SECONDS),1800)

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Lines of product code, without comments, docstrings and blanks.
lines:
	@$(PYTHON) scripts/count_lines.py

# The documentation site, in site/; any warning is an error.
docs: install
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
