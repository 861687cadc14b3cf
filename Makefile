# Two commands do all the set-up on a machine that has only Python 3.11 or newer and make.
.PHONY: demo test lint clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

demo: $(VENV)/installed  ## train on 1,797 handwritten digits, report, classify: about a minute
	@$(BIN)/pellucid demo --out $(DEMO)

DEMO ?= $(shell n=1; d=pellucid-demo; while [ -e "$$d" ]; do n=$$((n+1)); d=pellucid-demo-$$n; done; echo $$d)

test: $(VENV)/installed lint  ## everything: style, types, tests
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Pellucid needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
