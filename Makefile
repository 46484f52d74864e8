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
PYTEST := $(PYTHON) -m pytest
MANAGE := $(PYTHON) manage.py
# What is said to another program than pytest: the arguments above, where nothing was said, are not for it.
SAID = $(filter-out -n 2,$(ARGS))
NEEDS = test -n "$($(1))" || { echo "Say $(1)=…, for example: make $@ $(1)=$(2)" >&2; exit 2; }
DELETES = test "$(YES)" = 1 || { echo "This deletes all data below .rustok for good. Say: make $@ YES=1" >&2; exit 2; }
# Rules and records, without processes, browsers and whole stores: under a minute on kept databases.
FAST_TESTS := tests/architecture tests/events tests/kernel tests/content tests/commerce -k "not import and not export"
WHOLE_TESTS := tests/flows tests/faults tests/sweep tests/lifecycle tests/contracts tests/upgrades tests/rustok
MADE := .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis staticfiles build dist

.PHONY: help
help: ## show this list
	@echo "RusToK for Python. Needs python3 with pip, make and git; brings everything else."
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z-]*:.*## / { printf "  %-16s  %s\n", $$1, $$2 }' Makefile

##@ Development

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
	@exec $(MANAGE) dev

.PHONY: doctor
doctor: env ## look whether all is well here, with a remedy for what is not (ARGS=--json)
	@$(MANAGE) doctor $(SAID)

.PHONY: shell
shell: env ## a Python prompt with all models (see scope.use before asking for rows)
	@exec $(MANAGE) shell

.PHONY: new-app
new-app: env ## a new app with rooms, floor and tests (NAME=shipping FLOOR=commerce)
	@$(call NEEDS,NAME,shipping)
	@$(MANAGE) new_app $(NAME) $(if $(FLOOR),--floor $(FLOOR))

.PHONY: services
services: env ## start the embedded PostgreSQL and Valkey without the platform
	@$(MANAGE) services start

.PHONY: services-status
services-status: env ## say which of the embedded servers run
	@$(MANAGE) services status

.PHONY: services-stop
services-stop: env ## stop the embedded PostgreSQL and Valkey; the data stay
	@$(MANAGE) services stop

.PHONY: tree
tree: env ## the locked packages as a tree (ARGS="--invert --package django")
	@$(UV) tree --frozen --quiet $(SAID)

##@ Testing

.PHONY: test
test: env ## run the tests (ARGS="…" goes to pytest)
	$(PYTEST) $(ARGS)

.PHONY: test-fast
test-fast: env ## the quick tests, on kept databases, until the first failure
	$(PYTEST) -q -x --reuse-db $(FAST_TESTS)

.PHONY: test-integration
test-integration: env ## the tests of the whole product: flows, faults, sweep, contracts …
	$(PYTEST) $(ARGS) $(WHOLE_TESTS)

.PHONY: test-coverage
test-coverage: env ## all tests, and what they did not reach (htmlcov/index.html)
	$(PYTEST) $(ARGS) --cov --cov-report=term --cov-report=html

.PHONY: test-core
test-core: env ## the tests of the event core: kernel, events, outbox, consumers
	$(PYTEST) $(ARGS) tests/kernel tests/events tests/outbox tests/consumers

.PHONY: test-content
test-content: env ## the tests of content
	$(PYTEST) $(ARGS) tests/content

.PHONY: test-commerce
test-commerce: env ## the tests of commerce
	$(PYTEST) $(ARGS) tests/commerce

.PHONY: test-app
test-app: env ## the tests of one app (APP=tenants)
	@$(call NEEDS,APP,tenants)
	$(PYTEST) $(ARGS) tests/$(APP)

.PHONY: test-failed
test-failed: env ## the tests that failed last time, until they pass
	$(PYTEST) -q --last-failed --last-failed-no-failures none --reuse-db

.PHONY: soak
soak: env ## kill parts at random, check every promise (MINUTES=10 SEED=7 REPORT=file)
	$(PYTHON) -m tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--json $(REPORT))

.PHONY: rebuild-proof
rebuild-proof: env ## rebuild under reads, killed at every step, documents equal (EVENTS=1000000)
	$(PYTHON) -m tests.faults.rebuild_proof --events $(or $(EVENTS),1000000) $(if $(REPORT),--json $(REPORT))

.PHONY: import-proof
import-proof: env ## import every export, killed at random rows, and undone (SEED=7)
	$(PYTHON) -m tests.imports.proof $(if $(SEED),--seed $(SEED)) $(SAID)

.PHONY: fuzz-api
fuzz-api: env ## ask anything as every caller, hold it to the document (MINUTES=20 SEED=7)
	$(PYTHON) -m tests.contracts.fuzzing --minutes $(or $(MINUTES),20) $(if $(SEED),--seed $(SEED))

##@ Quality

.PHONY: check
check: env lint types ## all that CI demands: lint, types, floors, records, tests with coverage
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) events_schema check
	$(MANAGE) docs_reference --check
	$(MANAGE) messages --check
	$(MAKE) test ARGS="-n 2 --cov --cov-report=term"

.PHONY: ci
ci: check secrets ## what the build server runs, with the search for secrets

.PHONY: lint
lint: env ## formatting, lint and the floors of the architecture
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	.venv/bin/lint-imports

.PHONY: lint-fix
lint-fix: env ## fix what lint can fix by itself
	$(PYTHON) -m ruff check --fix .

.PHONY: fmt-check
fmt-check: env ## say which files are not formatted
	$(PYTHON) -m ruff format --check .

.PHONY: fmt-fix
fmt-fix: env ## format the code
	$(PYTHON) -m ruff format .

.PHONY: format
format: env ## format the code and fix what can be fixed by itself
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format .

.PHONY: types
types: env ## check the types
	$(PYTHON) -m mypy
	cd clients/python && $(CURDIR)/$(PYTHON) -m mypy

.PHONY: floors
floors: env ## imports point down the floors
	.venv/bin/lint-imports

.PHONY: unused
unused: env ## imports, names and commented-out code that nobody uses
	$(PYTHON) -m ruff check --select F401,F811,F841,ERA apps rustok tests

.PHONY: messages
messages: env ## collect the sentences of errors for translators and compile what they wrote
	$(MANAGE) messages

.PHONY: hooks
hooks: env ## have git run pre-commit and pre-push by itself
	@.venv/bin/pre-commit install --hook-type pre-commit --hook-type pre-push

.PHONY: pre-commit
pre-commit: env ## what the hook asks before a commit: format, lint, floors (ALL=1 of all files)
	.venv/bin/pre-commit run $(if $(ALL),--all-files)

.PHONY: pre-push
pre-push: env ## what the hook asks before a push: types, fast tests
	.venv/bin/pre-commit run --all-files --hook-stage pre-push

##@ Database

.PHONY: db-migrate
db-migrate: env ## apply the migrations that are not applied, and the row policies after them
	@$(MANAGE) migrate

.PHONY: db-status
db-status: env ## which migrations are applied (ARGS="commerce" for one app)
	@$(MANAGE) showmigrations $(SAID)

.PHONY: db-new
db-new: env ## write a migration for what changed in the models (APP=commerce NAME=add_weight)
	@$(call NEEDS,APP,commerce)
	@$(MANAGE) makemigrations $(APP) $(if $(NAME),--name $(NAME))

.PHONY: db-check
db-check: env ## say whether a model changed without a migration
	@$(MANAGE) makemigrations --check --dry-run

.PHONY: db-seed
db-seed: db-migrate ## fill the database with the two demo tenants
	@$(MANAGE) seed_demo

.PHONY: db-shell
db-shell: env ## psql as the app's role, which sees no tenant's rows by itself
	@exec $(MANAGE) dbshell

.PHONY: db-reset
db-reset: env ## delete all that is below .rustok, media too, and begin anew (YES=1)
	@$(DELETES)
	@$(MANAGE) services remove
	@$(MAKE) db-migrate

##@ Build

.PHONY: build-static
build-static: env ## collect the static files into staticfiles/
	@$(MANAGE) collectstatic --no-input --verbosity 1

.PHONY: build-release
build-release: env ## the tree of the last commit as dist/rustok-VERSION.tar.gz, with its checksum
	@mkdir -p dist
	@name=rustok-$$($(UV) version --short --frozen); \
	git archive --format=tar.gz --prefix=$$name/ --output=dist/$$name.tar.gz HEAD; \
	cd dist && sha256sum $$name.tar.gz | tee $$name.tar.gz.sha256

.PHONY: build-server
build-server: ## the container image (needs docker or podman; TAG=rustok)
	@tool=$$(command -v docker || command -v podman) || { echo "Install docker or podman first." >&2; exit 2; }; \
	"$$tool" build --file deploy/Dockerfile --tag $(or $(TAG),rustok) .

.PHONY: build-clients
build-clients: clients-check ## the TypeScript client as JavaScript, in clients/typescript/dist
	.venv/bin/node clients/typescript/node_modules/typescript/bin/tsc --project clients/typescript

.PHONY: clients
clients: env $(NODE_MODULES) ## write the generated halves of both clients, from the OpenAPI document
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

.PHONY: clean
clean: ## remove the environment, caches and reports; the data in .rustok stay
	@if $(MANAGE) services --help >/dev/null 2>&1; then $(MANAGE) services stop || [ $$? -ne 1 ]; fi
	rm -rf .venv $(TOOL) $(MADE)

.PHONY: clean-all
clean-all: ## as clean, and the data in .rustok too (YES=1)
	@$(DELETES)
	@if [ -x $(PYTHON) ]; then $(MANAGE) services remove; fi
	@$(MAKE) clean
	rm -rf .rustok $(dir $(NODE_MODULES))

##@ Security

# What looks like a secret and is none: passwords of nobody in tests and examples, and two alphabets.
NO_SECRETS := ^([Ss]ecret|SECRET|s%2Fecret|password|pw|first|second|rustok|s3cret(%21)?|(top|canary)-(secret|pw)|[a-z]{24}[0-9]{8}|[0-9]{10}[a-z]{22})$$
SCANNED ?= $(shell git ls-files -- ':!uv.lock')

.PHONY: secrets
secrets: env ## search for secrets in the files
	@.venv/bin/detect-secrets-hook --no-verify --disable-plugin KeywordDetector --exclude-secrets '$(NO_SECRETS)' $(SCANNED)
	@echo "No secret found in the files."

.PHONY: audit
audit: env secrets ## secrets in the files, and known holes in the dependencies (asks the network)
	@$(UV) audit --frozen --preview-features audit-command || { status=$$?; \
		[ $$status -ne 2 ] || echo "The advisories could not be asked (no network?): of the dependencies nothing is known." >&2; \
		exit $$status; }

.PHONY: audit-all
audit-all: audit ## as audit, and lint's and Django's checks of security, and the audit log
	@$(PYTHON) -m ruff check --select S apps rustok
	@$(MANAGE) check --deploy --fail-level ERROR
	@$(MANAGE) audit_verify

.PHONY: outdated
outdated: env ## which packages have a newer release than the locked one (asks the network)
	@$(UV) tree --frozen --outdated --depth 1

.PHONY: update-deps
update-deps: env ## lock the newest allowed releases and bring them (PACKAGE=django for one)
	$(UV) lock $(if $(PACKAGE),--upgrade-package $(PACKAGE),--upgrade)
	$(MAKE) env

##@ Documentation

# Sphinx lives beside the environment of the product, which stays lean.
DOCS_ENV := .rustok/docs
DOCS_SITE ?= build/docs

.PHONY: docs
docs: env ## the site of docs/ in build/docs; a broken link or a page no index names ends it
	@UV_PROJECT_ENVIRONMENT=$(DOCS_ENV) $(UV) sync --frozen --quiet --only-group docs --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	$(DOCS_ENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet -c docs/site -d $(DOCS_SITE)/.doctrees docs $(DOCS_SITE)
	@echo "The site is $(DOCS_SITE)/index.html."

.PHONY: docs-serve
docs-serve: docs ## the site, served on loopback until Ctrl-C (PORT=5160)
	$(PYTHON) -m http.server --bind 127.0.0.1 --directory $(DOCS_SITE) $(or $(PORT),5160)

.PHONY: screenshots
screenshots: env ## the pictures of docs/, from a product of their own (ONLY="admin-start")
	$(PYTHON) -m tests.screenshots $(ONLY)

.PHONY: docs-all
docs-all: docs-reference docs-api docs ## the generated pages, the API's document, and the site

.PHONY: docs-reference
docs-reference: env ## write the generated pages of docs/reference
	@$(MANAGE) docs_reference

.PHONY: docs-api
docs-api: env ## put the OpenAPI document on record
	@$(MANAGE) openapi export

.PHONY: examples
examples: env ## write down what the API answers to the story of its examples
	$(PYTEST) -q tests/contracts/test_examples.py -k answered --write-examples
	$(MANAGE) openapi export

##@ Benchmarking

.PHONY: bench
bench: env ## all measurements, one after the other, against ceilings of the same run
	@for part in events isolation edge; do $(MAKE) bench-$$part; done
	@$(MAKE) benchmark

.PHONY: bench-events
bench-events: env ## the event core against ceilings of the same run (ARGS="--part writing")
	$(PYTHON) -m tests.benchmarks.events $(SAID)

.PHONY: bench-isolation
bench-isolation: env ## what isolation costs, and 1,000 tenants (ARGS="--tenants 100")
	$(PYTHON) -m tests.benchmarks.isolation $(SAID)

.PHONY: bench-edge
bench-edge: env ## what the whole middleware costs a read of the storefront (ARGS="--requests 99")
	$(PYTHON) -W ignore -m tests.benchmarks.edge $(SAID)

.PHONY: benchmark
benchmark: env ## an import against its ceiling (ARGS="export.csv" for your own file)
	$(PYTHON) tests/benchmarks/import_shopify.py $(SAID)

.PHONY: time-build
time-build: ## how long the last commit takes from nothing to static files, in a copy
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; git archive HEAD | tar -x -C "$$folder"; cd "$$folder"; \
	time make env; time $(PYTHON) manage.py collectstatic --no-input --verbosity 0

.PHONY: time-tests
time-tests: env ## the tests, and which of them take longest
	$(PYTEST) $(ARGS) --durations 25 --durations-min 1
