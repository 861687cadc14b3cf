# Two commands do all the set-up on a machine that has only Python 3.11 or newer and make.
.PHONY: demo test tests docs bench soak lint style types browser triton kserve clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# the tests start many processes, and without bytecode each would compile all that it imports
unexport PYTHONDONTWRITEBYTECODE

demo: $(VENV)/runs  ## train on 1,797 handwritten digits, report, classify, open: about a minute
	@$(BIN)/pellucid demo --out $(DEMO)

DEMO ?= $(shell n=1; d=pellucid-demo; while [ -e "$$d" ]; do n=$$((n+1)); d=pellucid-demo-$$n; done; echo $$d)

test:  ## everything: style, types, tests
	@$(MAKE) --no-print-directory --jobs 2 $(VENV)/installed kserve
	@$(MAKE) --no-print-directory --jobs 2 style browser triton $(VENV)/compiled
	@$(MAKE) --no-print-directory --jobs 2 tests types

# The types are checked beside the tests, whose two processes often wait; one after the other takes longer.
tests: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# In a new checkout each of the two processes would compile all tests; here one does, beside what is fetched.
$(VENV)/compiled: $(VENV)/installed
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true
	@touch $@

docs: $(VENV)/runs $(VENV)/docs/installed  ## the documentation as a site, in build/site; no server and no connection needed
	@$(BIN)/python -m docs.site.build $(VENV)/docs/bin/zensical

bench: $(VENV)/installed  ## Pellucid beside its peers, which it installs; BENCH="--quick" or "--only article" for less
	$(BIN)/python benchmarks/bench.py $(BENCH)

soak: $(VENV)/installed docs  ## a server under load for five minutes; SOAK="--minutes 1 --workers 2" for another run
	$(BIN)/python benchmarks/load.py $(SOAK)
	$(BIN)/python -m pytest tests/real/test_agreement.py tests/real/test_transfer.py -s --every 1  # each real picture, if the data are here
	$(BIN)/python -m pytest tests/app/test_elastic.py -s --every 1  # twenty kills of a training in two processes; two nodes
	$(BIN)/python -m pytest tests/web/test_lessons.py -k subjects --every 1  # each step in windows of all sizes
	$(BIN)/python -m pytest tests/web/test_matrix.py --screenshots build/screenshots  # all views on four networks; look at the sheets
	$(BIN)/python -m docs.site.browse build/site  # the documentation, from the disk and without a network

# the page is tested in a real Chromium: an existing one, Debian's if run as root, or else Playwright's own
browser: $(VENV)/installed
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	echo "installing Chromium for the tests of the page"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get install -qq -y chromium >/dev/null 2>&1 && exit 0; \
		apt-get update -qq && apt-get install -qq -y chromium >/dev/null && exit 0; \
	fi; \
	$(BIN)/python -m playwright install chromium \
	|| echo "NOT TESTED: the page in a browser; no Chromium is here and none could be installed"

# a GPU's kernels are tested in Triton's interpreter; PyTorch for CUDA includes Triton, the build for CPUs does not
triton: $(VENV)/installed
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("triton") is None)' \
	|| $(PIP) --retries 1 --no-deps --requirement requirements.gpu.lock \
	|| echo "NOT TESTED: the kernels of a GPU; Triton could not be installed"

# KServe's client is tested from a folder of its own, which no other program sees; it installs beside the test tools
kserve: $(VENV)/runs
	@cmp -s requirements.kserve.lock $(VENV)/kserve/installed || { rm -rf $(VENV)/kserve \
	&& $(PIP) --retries 1 --no-deps --no-compile --target $(VENV)/kserve --requirement requirements.kserve.lock \
	&& cp requirements.kserve.lock $(VENV)/kserve/installed; } \
	|| echo "NOT TESTED: KServe's client; it could not be installed"

lint: style types

style: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# the page's modules have no build step; they are checked only with Node, if npm or its cache has the two tools
NODE_TOOLS := npx --yes --loglevel=error --fetch-retries=0 --fetch-timeout=20000 \
	--package typescript@5.9.3 --package prettier@3.10.1 --

types: $(VENV)/installed
	$(BIN)/pyright --pythonpath $(BIN)/python
	@if ! command -v npx >/dev/null; then \
		echo "NOT CHECKED: the page's types and style; there is no Node.js here"; \
	elif ! $(NODE_TOOLS) true >/dev/null 2>&1; then \
		echo "NOT CHECKED: the page's types and style; npx could not get TypeScript and prettier"; \
	else \
		$(NODE_TOOLS) sh -c 'tsc --project . && prettier --log-level warn --print-width 120 --check "src/pellucid/web/**/*.{js,css}" "!src/pellucid/web/vendor/**"'; \
	fi

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# pip compiles in one process, this in one for each core; it leaves out the packages' own tests.
# A file of another Python version may not compile, which is no fault here.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests?/'

# only what the demo needs: no test tools, no browser
$(VENV)/runs: requirements.lock requirements.demo.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Pellucid needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile --requirement requirements.lock --requirement requirements.demo.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(COMPILE) $(VENV)/lib || true
	@touch $@

# everything else
$(VENV)/installed: $(VENV)/runs requirements.dev.lock
	$(PIP) --no-compile --requirement requirements.dev.lock
	@find $(VENV)/lib/python*/site-packages -mindepth 1 -maxdepth 1 -newer $(VENV)/runs | xargs $(COMPILE) || true
	@touch $@

# the generator of the site has an environment of its own: nothing else needs its packages
$(VENV)/docs/installed: requirements.docs.lock | $(VENV)/runs
	rm -rf $(VENV)/docs
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.docs.lock
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
