# Every task of the project. `make help` lists them.
PY := .venv/bin/python
DB ?= sqlite
ARGS ?=
WORKERS ?= 4
# How many failed tests may be tried once more, alone
AGAIN ?= 3
# Tests' bytecode is kept also where the environment says otherwise: four workers would each compile all of it
PYTEST := PYTHONDONTWRITEBYTECODE= $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo up test test-full test-pure test-service test-e2e test-nodes lint fmt db docs docs-site picture screenshots test-lowest bench-deploy bench-frameworks bench-queue bench-nodes bench-console bench-takeover chaos fuzz-dockerfile clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Have packages, virtualenv, container engine and base image (idempotent)
	@PYTHON="$(PYTHON)" scripts/setup

setup-test: ## The same, with what tests and linters need
	@PYTHON="$(PYTHON)" scripts/setup --tests

demo: setup ## Deploy two apps on a platform in a temporary folder, then remove it all (ARGS=--keep keeps it)
	@.venv/bin/funai demo $(ARGS)

up: setup ## Run the platform on this machine until Ctrl-C (ARGS="--gateway-port 8001 …")
	@.venv/bin/funai up $(ARGS)

# Linters run beside the tests and speak last: they need one processor for a minute. Collecting first keeps the compiled tests
test: setup-test ## Linters and the whole test suite
	@mkdir -p .state && { $(MAKE) --no-print-directory lint >.state/lint.log 2>&1; echo $$? >.state/lint.status; } & \
	$(PYTEST) --collect-only -qq >/dev/null 2>&1; \
	tests=0; $(PYTEST) --numprocesses $(WORKERS) $(ARGS) || $(PY) scripts/test_again.py --status $$? --at-most $(AGAIN) || tests=$$?; \
	wait; cat .state/lint.log; [ $$tests -ne 0 ] && exit $$tests || exit $$(cat .state/lint.status)

test-full: ## The same, each test as far as it goes (sizes, every look of every page)
	@FUNAI_TEST_FULL=1 $(MAKE) --no-print-directory test

test-pure: ## Only the tests that need nothing but the virtualenv
	@$(PYTEST) tests/pure $(ARGS)

test-lowest: setup-test ## The pure tests on the lowest versions that pyproject.toml allows
	@$(PY) scripts/test_lowest.py $(ARGS)

test-service: ## Only the services in this process, on real databases
	@$(PYTEST) tests/service --numprocesses $(WORKERS) $(ARGS)

test-e2e: ## Only what runs on real Podman, registry, SSH and HAProxy
	@$(PYTEST) tests/e2e $(ARGS)

test-nodes: setup-test ## Three nodes with real parts: drains, killed parts, a cut link, a full disk (root)
	@FUNAI_TEST_FULL=1 $(PYTEST) tests/e2e/nodes $(ARGS)

lint: ## Style, types (strict), import fences, sizes, words
	@failed=0; \
	for check in "ruff check --quiet ." "ruff format --quiet --check ." "pyright" "lint-imports" "python scripts/check_sizes.py" "python scripts/check_words.py"; do \
		.venv/bin/$$check || { echo "lint: $$check failed" >&2; failed=1; }; \
	done; exit $$failed

fmt: ## Format the code and mend what can be mended by itself
	@.venv/bin/ruff check --quiet --fix-only . && .venv/bin/ruff format .

db: ## Bring the databases to the newest schema (ARGS as for `funai db upgrade`)
	@.venv/bin/funai db upgrade $(ARGS)

docs: ## Remake the pages that are made from the code: configuration and reason words
	@$(PY) -m funai.standalone.reference > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md
	@$(PY) -m funai.standalone.reference reasons > docs/troubleshooting.new && mv docs/troubleshooting.new docs/how-to/troubleshooting.md

docs-site: ## Build the documentation as a site under .state/site; links are checked
	@test -x .state/docs/bin/mkdocs || python3 -m venv .state/docs
	@.state/docs/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@NO_MKDOCS_2_WARNING=1 .state/docs/bin/mkdocs build --strict --quiet && echo "site: .state/site/index.html"

picture: setup ## Remake the READMEs' picture of a terminal session, from a real `funai demo`
	@$(PY) scripts/terminal_svg.py en docs/images/demo.svg && $(PY) scripts/terminal_svg.py zh docs/images/demo.zh-CN.svg

screenshots: setup-test ## Remake the documentation's pictures of the console, by the test that walks a newcomer's way
	@fc-list :lang=zh-cn | grep -q . || { echo "screenshots: no Chinese font here; apt-get install fonts-noto-cjk" >&2; exit 1; }
	@FUNAI_SCREENSHOTS=docs/images/console $(PYTEST) tests/e2e/up/test_console.py --quiet -k newcomer_signs_up
	@echo "docs/images/console: $$(du -sk docs/images/console | cut -f1) KiB, at most 1000 wanted"

fuzz-dockerfile: setup-test ## Hostile Dockerfiles against a real Runner, with canaries: ARGS="--seconds 600"
	$(PY) -m tests.fuzz $(ARGS)

bench-deploy: setup-test ## Time deploys and the gateway beside their floors; one JSON line last
	@$(PY) -m benchmarks.deploy $(ARGS)

bench-frameworks: setup-test ## Eleven frameworks' apps in Chromium, and Vite and Next beside plain podman; one JSON line last
	@$(PY) -m benchmarks.frameworks $(ARGS)

chaos: setup-test ## Faults in a running platform, invariants checked; one JSON line last (ARGS="--rounds 50")
	@$(PY) -m benchmarks.chaos $(ARGS)

bench-queue: setup-test ## Time the job queue (DB=sqlite|postgresql|mariadb); one JSON line last
	@$(PY) -m benchmarks.queue --db $(DB) $(ARGS)

bench-nodes: setup-test ## Time placement at 1,000 nodes and 100,000 apps, the edge and a drain (DB=sqlite|postgresql|mariadb); one JSON line last
	@$(PY) -m benchmarks.nodes --db $(DB) $(ARGS)

bench-console: setup-test ## Time the console's log and first page in Chromium; one JSON line last
	@$(PY) -m benchmarks.console $(ARGS)

bench-takeover: setup-test ## Time taking over an installation with 100,000 jobs on MariaDB; one JSON line last (ARGS="--jobs 1000")
	@$(PY) -m benchmarks.takeover $(ARGS)

clean: ## Remove caches and logs
	@rm -rf .state .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	@find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the virtualenv too
	@rm -rf .venv
