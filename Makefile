# Each target does its own set-up (tools/setup) on a fresh Debian machine with Python >= 3.11, gcc and make.
#
#   make demo    the storm, straight at a small PostgreSQL and through the proxy (CLIENTS=300)
#   make test    linters, types, import directions, all tests (TESTS=tests/unit for some of them)
#   make lint    all of `make test` but the tests
#   make bench   Tidegate against PgBouncer and the direct database (ARGS=... for its options)
#   make sanitize  protocol and fault tests on a sanitized build of the proxy (TESTS=tests/conformance for others)
#   make fuzz    a minute of fuzzing on a sanitized build (ARGS=... for its options)
#   make soak    ten minutes of random session state of 50 clients on 5 servers, compared with a model (ARGS=...)
#   make build   compile in place
#   make clean   remove what was built; `make distclean` also the .venv

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench fuzz soak sanitize build clean distclean

BIN := .venv/bin
TESTS ?= tests/unit tests/simulation tests/integration tests/conformance tests/faults
CLIENTS ?= 300
SANITIZERS = $(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)

help:
	@sed -n 's/^#   //p' Makefile

build:
	@tools/setup build

demo: build
	@$(BIN)/tidegate demo --clients $(CLIENTS)

lint: build
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --check; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > build/lint-imports.log || { cat build/lint-imports.log; exit 1; }

test: lint
	@tools/setup node
	@$(BIN)/python -m pytest $(TESTS)

bench: build
	@$(if $(filter --peer% --report%,$(ARGS)),,tools/setup pgbouncer)
	@$(BIN)/python -m bench $(ARGS)

fuzz:
	@tools/setup sanitized
	@PYTHONPATH=build/sanitized LD_PRELOAD="$(SANITIZERS)" ASAN_OPTIONS=detect_leaks=0 $(BIN)/python -m fuzz $(ARGS)

soak: build
	@$(BIN)/python -m soak $(ARGS)

# A sanitizer keeps freed memory: what a proxy holds says nothing then.
sanitize: TESTS = tests/integration/protocol tests/faults
sanitize: build
	@tools/setup sanitized
	@TIDEGATE_SANITIZED="$(CURDIR)/build/sanitized" SANITIZERS="$(SANITIZERS)" $(BIN)/python -m pytest $(TESTS) \
		-k "not takes_no_memory"

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .venv/stamps/build .venv/stamps/sanitized
	find src \( -name '*.so' -o -name '*.c' -o -name '*.html' \) -delete
	find src tests bench fuzz soak -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
