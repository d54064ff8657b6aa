# Two commands do everything on a fresh Debian or Ubuntu: `make run` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
WORLD ?= world
PORT ?= 9440

.PHONY: help install servers test-servers run test test-long coverage check format lock openapi benchmark mutate clean

help:                ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

install: .venv/installed  ## the environment in .venv, from the lock file

.venv/installed: requirements.lock pyproject.toml
	@.ci/install-packages python3 python3-venv -- "$(PYTHON) -c 'import ensurepip'"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

servers:             ## the servers that the sample world starts: slapd, nginx
	@.ci/install-packages slapd ldap-utils nginx curl openssl -- "test -x /usr/sbin/slapd && test -x /usr/bin/ldapsearch && test -x /usr/sbin/nginx && command -v curl openssl"

test-servers: servers  ## the servers that only tests start: 389-ds, a domain controller of Samba, PostgreSQL
	@.ci/install-packages 389-ds-base -- "test -x /usr/sbin/ns-slapd"
	@.ci/install-packages samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules -- "command -v samba-tool && test -x /usr/sbin/samba && test -e /usr/share/samba/setup/provision.ldif && ls /usr/lib/*/samba/ldb/samldb.so"
	@.ci/install-packages postgresql -- "ls /usr/lib/postgresql/*/bin/initdb"

run: install servers  ## the sample world on loopback: every story with its curl line, until Ctrl-C
	$(BIN)/authsvc demo $(WORLD) --port $(PORT)

test: install test-servers  ## every test but the long ones
	$(BIN)/python -m pytest -m "not long"

test-long: install test-servers  ## the tests that take minutes
	$(BIN)/python -m pytest -m long

DA := directory_assistance
PURE := $(DA)/der.py,$(DA)/dn*.py,$(DA)/errors.py,$(DA)/trace.py,$(DA)/entry.py,$(DA)/certificate_*.py,$(DA)/extensions.py,$(DA)/stored_*.py
PURE := $(PURE),$(DA)/naming*.py,$(DA)/candidates.py,$(DA)/filter*.py,$(DA)/binding.py,$(DA)/domains.py,$(DA)/facts.py,$(DA)/search.py
PURE := $(PURE),$(DA)/groups.py,$(DA)/identify.py,$(DA)/identifiers.py,$(DA)/alternative_identities.py,$(DA)/judging.py,$(DA)/watching.py
PURE := $(PURE),$(DA)/verification.py,$(DA)/config_lints.py,$(DA)/backends/caching.py,$(DA)/backends/answers.py,$(DA)/backends/memory.py
PURE := $(PURE),$(DA)/backends/ldap/messages.py,$(DA)/backends/ldap/notifications.py,$(DA)/backends/ldap/root_dse.py
PURE := $(PURE),$(DA)/backends/ldap/questions.py,$(DA)/backends/ldap/ad_groups.py,$(DA)/backends/ldap/reading.py
PURE := $(PURE),$(DA)/backends/ldif/reading.py,$(DA)/backends/ldif/content.py,$(DA)/backends/ldif/members.py
PURE := $(PURE),authsvc/reason.py,authsvc/original_request.py,authsvc/presented/*,authsvc/access/*,authsvc/decision/*,authsvc/trust/*
PURE := $(PURE),authsvc/operations/watches.py,authsvc/operations/hosts.py,authsvc/operations/metrics.py,authsvc/operations/ocsp_memory.py,authsvc/operations/ocsp_states.py
PURE := $(PURE),authsvc/operations/fetch_targets.py,authsvc/operations/list_fetching.py,authsvc/operations/revocation_records.py,authsvc/operations/revocation_states.py

coverage: install test-servers  ## every branch of the pure modules is taken by some test
	$(BIN)/python -m pytest -m "not long" tests/directory_assistance tests/authsvc --cov --cov-branch --cov-report=
	$(BIN)/coverage report --include="$(PURE)" --fail-under=100 --show-missing --skip-covered

check: install       ## format, lint, types, import contracts, OpenAPI equality
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/authsvc openapi | diff - openapi.yaml

format: install      ## format and repair what lint can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install        ## the lock file anew, from pyproject.toml
	$(BIN)/pip-compile --quiet --all-extras --generate-hashes --no-strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-find-links --no-header --output-file requirements.lock pyproject.toml

openapi: install     ## openapi.yaml anew, from the application
	$(BIN)/authsvc openapi > openapi.yaml

benchmark: install servers  ## the figures of benchmarks/, measured here and now
	@.ci/install-packages wrk -- "command -v wrk"
	$(BIN)/python benchmarks/auth.py

clean:               ## what the other targets made
	rm -rf .venv $(WORLD) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
