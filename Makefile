# Everything a developer types. `make` alone explains itself.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
TOOL := .rustok/tool
UV_VERSION := 0.13.9
UV := $(TOOL)/bin/uv
MARKER := .venv/.synced
NODE_MODULES := clients/typescript/node_modules/.package-lock.json

# uv trusts the machine's certificates, as pip does, and never downloads an interpreter behind the reader's back.
export UV_SYSTEM_CERTS := 1
export UV_PYTHON_DOWNLOADS := never
# Compiled once here instead of at every start.
export UV_COMPILE_BYTECODE := 1

# Arguments of pytest, e.g. make test ARGS="tests/rustok -k health"
ARGS ?= -n 2

.PHONY: help
help: ## show this list
	@echo "RusToK for Python. Needs python3 with pip, make and git; brings everything else."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: env
env: $(MARKER) ## bring the locked environment into .venv
	@$(PYTHON) -c '' 2>/dev/null || { rm -rf .venv && $(MAKE) $(MARKER); }

$(MARKER): uv.lock pyproject.toml .python-version | $(UV)
	@python=$$($(UV) python find --no-project "$$(cat .python-version)" 2>/dev/null \
		|| $(UV) python find --no-project '>=3.12' 2>/dev/null) || { \
		echo "RusToK needs Python 3.12 or newer, and none was found here. Install one (python.org, pyenv, your" >&2; \
		echo "system's packages), see that it is on the PATH, and run make again. python3 here is: $$(python3 --version)" >&2; \
		exit 1; }; \
	$(UV) sync --frozen --quiet --python "$$python"
	@touch $(MARKER)

# uv in a private environment, made by whatever python3 there is: an old one will do.
$(UV):
	@echo "Bringing uv $(UV_VERSION) …"
	@python3 -m venv $(TOOL) >/dev/null 2>&1 || python3 -m venv --without-pip $(TOOL)
	@if [ -x $(TOOL)/bin/pip ]; then $(TOOL)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	else python3 -m pip --python $(TOOL)/bin/python install --quiet --disable-pip-version-check uv==$(UV_VERSION); fi

.PHONY: dev
dev: env ## run the whole platform with two demo tenants, until Ctrl-C
	@exec $(PYTHON) manage.py dev

.PHONY: test
test: env ## run the tests (ARGS="…" goes to pytest)
	$(PYTHON) -m pytest $(ARGS)

.PHONY: check
check: env lint types ## all that CI demands: lint, types, floors, event schemas, reference pages, translations, tests with coverage
	$(PYTHON) manage.py events_schema check
	$(PYTHON) manage.py docs_reference --check
	$(PYTHON) manage.py messages --check
	$(MAKE) test ARGS="-n 2 --cov --cov-report=term"

.PHONY: lint
lint: env ## formatting, lint and the floors of the architecture
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	.venv/bin/lint-imports

# What looks like a secret and is none: passwords of nobody in tests and examples, and two alphabets.
NO_SECRETS := ^(password|pw|first|second|rustok|s3cret(%21)?|(top|canary)-(secret|pw)|[a-z]{24}[0-9]{8}|[0-9]{10}[a-z]{22})$$
SCANNED ?= $(shell git ls-files -- ':!uv.lock')

.PHONY: audit
audit: env secrets ## search for secrets in the files and for known holes in the dependencies (asks the network)
	@$(UV) audit --frozen --preview-features audit-command || { status=$$?; \
		[ $$status -ne 2 ] || echo "The advisories could not be asked (no network?): of the dependencies nothing is known." >&2; \
		exit $$status; }

.PHONY: secrets
secrets: env
	@.venv/bin/detect-secrets-hook --no-verify --disable-plugin KeywordDetector --exclude-secrets '$(NO_SECRETS)' $(SCANNED)
	@echo "No secret found in the files."

.PHONY: types
types: env ## check the types
	$(PYTHON) -m mypy
	cd clients/python && $(CURDIR)/$(PYTHON) -m mypy

.PHONY: format
format: env ## format the code and fix what can be fixed by itself
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format .

.PHONY: messages
messages: env ## collect the sentences of errors for translators and compile what they wrote
	$(PYTHON) manage.py messages

.PHONY: examples
examples: env ## write down what the API answers to the story of its examples, and the OpenAPI document with it
	$(PYTHON) -m pytest -q tests/contracts/test_examples.py -k answered --write-examples
	$(PYTHON) manage.py openapi export

.PHONY: benchmark
benchmark: env ## measure an import against its ceiling (ARGS="export.csv" for your own file)
	$(PYTHON) tests/benchmarks/import_shopify.py $(filter-out -n 2,$(ARGS))

.PHONY: soak
soak: env ## kill parts of the whole product at random and check every promise (MINUTES=10 SEED=7 REPORT=file.json)
	$(PYTHON) -m tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--json $(REPORT))

.PHONY: fuzz-api
fuzz-api: env ## ask a server of its own anything, as every kind of caller, and hold answers to the description (MINUTES=20 SEED=7)
	$(PYTHON) -m tests.contracts.fuzzing --minutes $(or $(MINUTES),20) $(if $(SEED),--seed $(SEED))

.PHONY: rebuild-proof
rebuild-proof: env ## rebuild under reads, killed at every step, and prove the documents equal (EVENTS=1000000 REPORT=file.json)
	$(PYTHON) -m tests.faults.rebuild_proof --events $(or $(EVENTS),1000000) $(if $(REPORT),--json $(REPORT))

.PHONY: bench-events
bench-events: env ## measure the event core against ceilings of the same run (ARGS="--part writing")
	$(PYTHON) -m tests.benchmarks.events $(filter-out -n 2,$(ARGS))

.PHONY: bench-isolation
bench-isolation: env ## measure what isolation costs, with and without it in one run, and 1,000 tenants (ARGS="--tenants 100")
	$(PYTHON) -m tests.benchmarks.isolation $(filter-out -n 2,$(ARGS))

.PHONY: bench-edge
bench-edge: env ## measure what the whole middleware costs a read of the storefront (ARGS="--requests 1000")
	$(PYTHON) -W ignore -m tests.benchmarks.edge $(filter-out -n 2,$(ARGS))

.PHONY: clients
clients: env $(NODE_MODULES) ## write the generated halves of both clients anew, from the OpenAPI document on record
	$(PYTHON) clients/generate.py

.PHONY: clients-check
clients-check: env $(NODE_MODULES) ## both clients are what the document makes them, and their types hold
	$(PYTHON) clients/generate.py --check
	cd clients/python && $(CURDIR)/$(PYTHON) -m mypy
	.venv/bin/node clients/typescript/node_modules/typescript/bin/tsc --project clients/typescript --noEmit

# npm writes the file when it is done.
$(NODE_MODULES): clients/typescript/package.json clients/typescript/package-lock.json | $(MARKER)
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --silent --prefix clients/typescript
	@touch $@

# Sphinx lives beside the environment of the product, which stays lean.
DOCS_ENV := .rustok/docs
DOCS_SITE ?= build/docs

.PHONY: docs
docs: env ## make the site of docs/ in build/docs; a broken link or a page that no index names ends it
	@UV_PROJECT_ENVIRONMENT=$(DOCS_ENV) $(UV) sync --frozen --quiet --only-group docs --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	$(DOCS_ENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet -c docs/site -d $(DOCS_SITE)/.doctrees docs $(DOCS_SITE)
	@echo "The site is $(DOCS_SITE)/index.html."

.PHONY: docs-serve
docs-serve: docs ## make the site and serve it on loopback, until Ctrl-C (PORT=5160)
	$(PYTHON) -m http.server --bind 127.0.0.1 --directory $(DOCS_SITE) $(or $(PORT),5160)

.PHONY: screenshots
screenshots: env ## take the pictures of docs/ from a product of their own, in a headless Chromium (ONLY="admin-start api-docs")
	$(PYTHON) -m tests.screenshots $(ONLY)

.PHONY: services-stop
services-stop: env ## stop the embedded PostgreSQL and Valkey; the data stay
	@$(PYTHON) manage.py services stop

.PHONY: clean
clean: ## remove the environment, caches and reports; the data in .rustok stay
	@if $(PYTHON) manage.py services --help >/dev/null 2>&1; then $(PYTHON) manage.py services stop || [ $$? -ne 1 ]; fi
	rm -rf .venv $(TOOL) .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis staticfiles
