.DEFAULT_GOAL := help
PYTHON ?= python3

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Run the shipped example on a simulated provider
	$(PYTHON) dev.py demo

.PHONY: test
test: ## Lint, types, import layers, all tests, in a virtual environment
	$(PYTHON) dev.py test

.PHONY: quick
quick: ## Only the tests that start no processes
	$(PYTHON) -m pytest -q tests/store tests/dispatch tests/providers tests/config tests/triage tests/intake

.PHONY: format
format: ## Format the code and mend what the linter can mend
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

.PHONY: lock
lock: ## Pin the tests' dependencies anew, with hashes and without any address (needs pip-tools)
	echo '# Everything the tests need, pinned with hashes. Made by `make lock`.' > requirements/dev.lock.new
	pip-compile --quiet --generate-hashes --extra dev --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file - pyproject.toml \
	  >> requirements/dev.lock.new
	mv requirements/dev.lock.new requirements/dev.lock
