# Everything that is installed stays in this folder: .venv has the product and what its tests import, .tools the
# pinned LiteLLM and opencode. PYTHON says which Python to use; 3.10 is the oldest.

PYTHON ?= python3
ARGS ?=

VENV := .venv/.made
PRODUCT := .venv/.product
TESTS := .venv/.tests
LITELLM := .tools/litellm/.made
NODE := .tools/node/.made
OPENCODES := .tools/opencodes/.made
PRISMA := .tools/prisma/.made
RELEASE := .tools/release/.made
NUSHELL := .tools/nushell/.made
WINE := .tools/wine/.made

# As variables: the pip that builds our own package is started by another one, and takes no flags of ours.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_CACHE_DIR := 1
# Quiet twice: warnings about how this machine reaches its registry are nothing to read here.
PIP := -m pip -qq
# A lock names all that is needed. Looking further, pip 23 takes a newer release for "pydantic[email]", and fails.
LOCKED := install --no-deps --requirement
NPM := --no-package-lock --no-audit --no-fund --no-update-notifier --loglevel=error
# opencode runs once while it is installed, and would leave folders in the user's home.
NO_TRACES := $(foreach kind,CACHE CONFIG DATA STATE,XDG_$(kind)_HOME="$(CURDIR)/.tools/node/.cache")

.PHONY: help demo test quick hunt mutants lowest newest bench matrix matrix-opencode matrix-litellm picture man dist \
    smoke record lint types check \
    setup setup-demo clean pins

help:
	@echo "make demo   show a real opencode use the models of a real LiteLLM, in bash, zsh, fish and PowerShell"
	@echo "make test   run all tests against the real programs; ARGS='-k NAME' for some of them"
	@echo "make quick  run the short tests that start no real opencode, LiteLLM, shell or terminal; ARGS as for make test"
	@echo "make hunt   try random cases of keys and headers, and check who gets them; ARGS='--cases 10000 --seed 1'"
	@echo "make mutants  remove the rules about keys and payloads one by one, and check that a test fails; ARGS='--every 5'"
	@echo "make lowest, make newest  run the quick tests with the lowest or newest versions that setup.cfg allows"
	@echo "make bench  measure what a launch costs"
	@echo "make matrix test every pinned version of opencode and LiteLLM, and print two tables (30 minutes)"
	@echo "make matrix-opencode, make matrix-litellm  only one of the two; ARGS='1.2.11' for some versions"
	@echo "make record record the answers of LiteLLM versions in tests/recordings; ARGS='1.70.4' for some versions"
	@echo "make picture  draw docs/session.svg and docs/picker.svg from a real terminal (1 minute)"
	@echo "make man    write the man page from the command line and docs/options.md"
	@echo "make dist   build the wheel and the sdist in dist/, with the same bytes every time, and check them"
	@echo "make smoke  install that wheel with pip, pipx and uv, and run it (half a minute)"
	@echo "make lint, make types, make check  run ruff, import-linter and shellcheck; mypy; both and all tests"
	@echo "make setup  install what the tests need (make test does it, too); make pins  choose newer versions of it"
	@echo "make clean  remove everything that make has put into this folder"

# A make of its own, so that the three big installations run side by side.
setup-demo:
	@$(MAKE) --no-print-directory --silent -j3 $(PRODUCT) $(LITELLM) $(NODE)

setup:
	@$(MAKE) --no-print-directory --silent -j3 $(PRODUCT) $(TESTS) $(LITELLM) $(NODE) $(OPENCODES) $(PRISMA) $(NUSHELL) $(WINE)

demo: setup-demo
	@.venv/bin/python tests/demo.py

# What shares a server or a build goes to one worker: tests/conftest.py says what does. Tests also wait, so there are
# more workers than the two cores that everybody has.
test: setup
	@.venv/bin/python -m pytest -n 4 --dist loadgroup $(ARGS)

# These wait for half of their time.
quick: $(TESTS)
	@.venv/bin/python -m pytest -n 4 --dist loadgroup -m "not real and not long" $(ARGS)

hunt: setup
	@cd tests && ../.venv/bin/python -m hunt $(ARGS)

# In an environment of its own; what only the tests need comes second, so that it raises nothing. The first Python that
# runs is taken, also one of pyenv's.
lowest: RESOLUTION := lowest-direct
lowest: PYTHONS := 3.10 3.11 3.12 3.13 3.14
newest: RESOLUTION := highest
newest: PYTHONS := 3.14 3.13 3.12 3.11 3.10
lowest newest: $(TESTS)
	@.venv/bin/python $(PIP) install uv
	@for version in $(PYTHONS); do \
	  for python in python$$version ~/.pyenv/versions/$$version.*/bin/python; do \
	    if $$python -m venv --clear .tools/$@ 2>/dev/null; then $$python --version; exit; fi; \
	  done; \
	done; exit 1
	@.venv/bin/uv pip install --quiet --python .tools/$@ --resolution $(RESOLUTION) --editable .
	@.venv/bin/uv pip install --quiet --python .tools/$@ --constraint tests/world/tests.in \
	  pytest pytest-xdist hypothesis python-dotenv pyyaml
	@.tools/$@/bin/python -m pytest -n 2 --dist loadgroup -m "not real and not long" $(ARGS)

mutants: $(TESTS)
	@.venv/bin/python tests/mutants.py $(ARGS)

bench: setup
	@.venv/bin/python tests/bench.py $(ARGS)

# ARGS names versions of one of the two, so both together take none.
matrix: override ARGS =
matrix: matrix-opencode matrix-litellm

matrix-opencode: setup
	@.venv/bin/python tests/matrix.py $(ARGS)

picture: setup
	@.venv/bin/python tests/picture.py

man: $(TESTS)
	@.venv/bin/python tests/manual.py

dist: $(RELEASE)
	@.tools/release/bin/python tests/dist.py

smoke: $(PRODUCT) $(NODE) dist
	@.venv/bin/python tests/smoke.py

lint: $(TESTS)
	@.venv/bin/ruff check .
	@.venv/bin/lint-imports --no-logo --no-cache
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run; else echo "lint: shellcheck is not installed" >&2; fi

types: $(PRODUCT) $(TESTS)
	@.venv/bin/mypy

check: lint types test

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: use make PYTHON=...")'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

$(PRODUCT): $(VENV) setup.cfg pyproject.toml
	@echo "Setting up: opencode-litellm, into .venv"
	@.venv/bin/python $(PIP) install --editable .
	@touch $@

# After the product, because two pips at once would get into each other's way in one environment.
$(TESTS): $(PRODUCT) tests/world/tests.txt
	@echo "Setting up: test dependencies, into .venv"
	@.venv/bin/python $(PIP) $(LOCKED) tests/world/tests.txt
	@touch $@

$(LITELLM): $(VENV) tests/world/litellm.txt
	@echo "Setting up: LiteLLM, into .tools/litellm (about a minute)"
	@.venv/bin/python -m venv --clear .tools/litellm
	@.tools/litellm/bin/python $(PIP) $(LOCKED) tests/world/litellm.txt
	@touch $@

$(NODE): tests/world/package.json
	@echo "Setting up: opencode, into .tools/node"
	@mkdir -p .tools/node
	@cp tests/world/package.json .tools/node/
	@$(NO_TRACES) npm install --prefix .tools/node --cache .tools/node/.cache $(NPM) >/dev/null
	@rm -rf .tools/node/.cache
	@touch $@

$(OPENCODES): $(VENV) tests/world/opencodes.py
	@echo "Setting up: an old opencode, the preview of opencode 2's server, and a plugin"
	@mkdir -p .tools/opencodes
	@cd tests && ../.venv/bin/python -m world.opencodes
	@rm -rf .tools/opencodes/.cache
	@touch $@

# Its scripts would download the binaries that tests/world/prisma/query-engine.js takes the place of.
$(PRISMA): tests/world/prisma/package.json
	@echo "Setting up: Prisma's engine for LiteLLM's database, into .tools/prisma"
	@mkdir -p .tools/prisma
	@cp tests/world/prisma/package.json .tools/prisma/
	@npm install --prefix .tools/prisma --cache .tools/prisma/.cache --ignore-scripts $(NPM) >/dev/null
	@rm -rf .tools/prisma/.cache
	@touch $@

$(RELEASE): $(VENV) tests/world/release.txt
	@echo "Setting up: release tools, into .tools/release"
	@.venv/bin/python -m venv --clear .tools/release
	@.tools/release/bin/python $(PIP) $(LOCKED) tests/world/release.txt
	@touch $@

# The hashes are in its lock file. Nushell has no package of Debian's.
$(NUSHELL): tests/world/nushell/package.json tests/world/nushell/package-lock.json
	@echo "Setting up: nushell, into .tools/nushell"
	@mkdir -p .tools/nushell
	@cp tests/world/nushell/*.json .tools/nushell/
	@npm install --prefix .tools/nushell --cache .tools/nushell/.cache --ignore-scripts \
	    $(filter-out --no-package-lock,$(NPM)) >/dev/null
	@rm -rf .tools/nushell/.cache
	@touch $@

# Where there is no Wine it says so in a line, and the tests for Windows are skipped.
$(WINE): setup.cfg tests/world/wine.py tests/world/python_exe.py | $(TESTS)
	@cd tests && ../.venv/bin/python -m world.wine

# Each version is installed into .tools/versions, once.
record: setup
	@.venv/bin/python tests/record.py $(ARGS)

matrix-litellm: setup
	@.venv/bin/python tests/matrix_litellm.py $(ARGS)

# Chooses the newest versions again that the .in files allow; for every Python from 3.10 at once.
pins: $(TESTS)
	@.venv/bin/python $(PIP) install uv
	@cd tests/world && for name in litellm release tests; do \
	    ../../.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
	        --generate-hashes --upgrade "$$name.in" --output-file "$$name.txt"; done

clean:
	rm -rf .venv .tools build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
