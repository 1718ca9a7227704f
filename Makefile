# The commands of every day. `make help` lists them.

CARGO ?= cargo
VENV  ?= target/venv
# What is tested is built once, with all features: they add features to packages of others, which were built twice.
ALL   := --locked --features failpoints,oidc
# Some tests wait for most of their time: for a disk, a server that is gone, a process.
THREADS ?= $(shell expr $$(nproc) + $$(nproc) / 2)
export TEAMCHAT_ARCHIVE_TEST_PYTHON ?= $(CURDIR)/$(VENV)/bin/python3

.PHONY: help demo check test test-setup test-format test-lints test-docs test-rust test-browser soak bench

help: ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## The whole product on a simulated company
	$(CARGO) run --locked --quiet -- demo

# The long forms are no part of --all-targets, since no other command runs them.
check: ## Compiler and lints, quickly
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	$(CARGO) clippy $(ALL) --test soak -- -D warnings

test: test-setup test-format test-lints test-docs test-rust test-browser ## Everything
	@echo "make test: all parts passed"

test-setup: ## Install what the tests need, or say what is missing
	sh tools/test-setup.sh $(VENV)

test-format:
	$(CARGO) fmt --check

test-lints: check ## With all features, and what is built without any
	$(CARGO) clippy --locked -- -D warnings

test-docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(ALL) --no-deps --document-private-items

test-rust: ## Unit and integration tests, third-party readers included; then a death at every moment, and signing in elsewhere
	$(CARGO) test $(ALL) --lib --test it -- --test-threads=$(THREADS)
	$(CARGO) test $(ALL) --test faults --test oidc -- --skip corpus --test-threads=$(THREADS)

test-browser: ## Every kind of page, in Chromium
	$(CARGO) test $(ALL) --no-run --test it
	sh tests/e2e/run.sh "$${CARGO_TARGET_DIR:-target}/debug/teamchat-archive"

soak: test-setup ## The long forms (release build, real data), then what Lighthouse says of the pages
	$(CARGO) test --locked --release --features failpoints --test soak --test faults -- --test-threads=1
	cd tests/e2e/lighthouse && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	node tests/e2e/lighthouse/pages.mjs "$${CARGO_TARGET_DIR:-target}/release/teamchat-archive"

bench: ## The benchmarks
	$(CARGO) bench --locked
