# Needs python3 >= 3.10, make and a C compiler; everything else goes into .venv.

PYTHON ?= python3
PYTEST_FLAGS ?= -n auto --dist worksteal
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test unit lint types bench golden clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp ## compile the digits network to QDQ ONNX and to C, run both, compare
	$(BIN)/python models/demo.py

# All three run even if one fails, so that one run shows everything; types are checked beside the tests.
test: $(VENV)/dev.stamp ## lint, types and every test, the slow ones included
	@status=0; mkdir -p build; \
	$(MAKE) --no-print-directory --keep-going lint types >build/checks.log 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest $(PYTEST_FLAGS) || status=1; \
	wait $$checks || status=1; \
	cat build/checks.log; \
	exit $$status

unit: $(VENV)/dev.stamp ## the fast tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m "not slow"

lint: $(VENV)/dev.stamp ## ruff
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp ## mypy --strict on qir/, passes/ and backends/
	$(BIN)/python tests/typing_tree.py
	$(BIN)/mypy

bench: $(VENV)/demo.stamp ## speed of kernels and of the digits network; with QIR_ZOO=folder also larger ones, and faults that explain must find
	$(BIN)/python tests/benchmarks/digits_latency.py
	$(BIN)/python tests/benchmarks/kernels.py
	@if [ -n "$$QIR_ZOO" ]; then for name in latency zoo "accuracy --ablate" "compression --train" budgets faults explain; do set -- $$name; $(BIN)/python tests/benchmarks/$$1.py $$2; done; fi

golden: $(VENV)/dev.stamp ## accept the present output as the golden files; read the diff afterwards
	$(BIN)/python -m pytest $(PYTEST_FLAGS) tests --update-golden

clean: ## remove what make and the tools have made
	rm -rf $(VENV) .typing .hypothesis .pytest_cache .mypy_cache .ruff_cache build

# A stamp is remade when the list of dependencies changes, or when the environment is gone.
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "qir needs Python 3.10 or newer: make PYTHON=/path/to/python3 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml setup.py | $(VENV)/pyvenv.cfg
	$(PIP) install -e . 'scikit-learn>=1.4'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml setup.py | $(VENV)/pyvenv.cfg
	$(PIP) install -e '.[dev]'
	@touch $@
