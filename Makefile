# make book [COHORT=folder or workbook]   the book: _build/html/index.html, _build/print/book.pdf and book.docx
# make test                   the tests; .ci/run adds make check and make test-slow
# make help                   the rest
#
# Every target sets up what it needs: a virtual environment in .venv and the locked requirements.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Brings the requirements in seconds; plain pip does the same where it is not to be had.
UV := uv==0.13.9

# The cohort to read: a folder or an Excel workbook. Without it, the shipped one in data/.
ifdef COHORT
export SALVAGE_COHORT := $(COHORT)
endif
# `salvage` comes from this checkout, never from an installed copy.
export PYTHONPATH := $(CURDIR)

# An environment is as good as the locks that it was made from: the stamp carries their digest.
digest = $(shell cat $(1) | cksum | cut -d' ' -f1)
BOOK_LOCKS := requirements.txt
TEST_LOCKS := requirements.txt tests/requirements.txt
BOOK_ENV := $(VENV)/stamps/book-$(call digest,$(BOOK_LOCKS))
TEST_ENV := $(VENV)/stamps/test-$(call digest,$(TEST_LOCKS))

BUILD := $(BIN)/jupyter-book build . -n -W --keep-going

.PHONY: help book tables test test-slow check format sync accept results calibrate lock clean
.DEFAULT_GOAL := book

help:
	@echo 'make book [COHORT=path]     build the book: _build/html/index.html and, in _build/print,'
	@echo '                            book.pdf and book.docx'
	@echo 'make tables [COHORT=path]   write each table and figure as files: _build/tables'
	@echo 'make results [COHORT=path]  print every estimate as JSON'
	@echo 'make test                   lint, unit, property, book, notebook and browser tests'
	@echo 'make test-slow              what takes minutes: planted faults, odd and big cohorts'
	@echo 'make check                  ruff, mypy, codespell, import-linter: quick enough for every commit'
	@echo 'make format                 let ruff rewrite the code'
	@echo 'make sync                   write the .md and .ipynb of each chapter from its .py, and'
	@echo '                            the pages that are made from data/ and the schema'
	@echo 'make accept                 execute the chapters again and rewrite tests/notebooks'
	@echo 'make calibrate              search again for the shipped cohort'
	@echo 'make lock                   resolve requirements.in again'
	@echo 'make clean                  remove _build'

book: $(BOOK_ENV)
	$(BUILD)

tables: $(BOOK_ENV)
	$(BUILD) --builder custom --custom-builder tables

results: $(BOOK_ENV)
	@$(BIN)/python -m salvage results

calibrate: $(BOOK_ENV)
	$(BIN)/python -m salvage calibrate

test: $(TEST_ENV)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

test-slow: $(TEST_ENV)
	$(BIN)/python -m pytest -m slow --no-cov

check: $(TEST_ENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/lint-imports

format: $(TEST_ENV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sync: $(TEST_ENV)
	$(BIN)/python -m tests.reference_notebooks sync
	$(BIN)/python -m salvage.report.pages
	$(BIN)/python -m tests.reference.agreement

accept: $(TEST_ENV)
	$(BIN)/python -m tests.reference_notebooks accept

lock: $(TEST_ENV)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header \
		requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header \
		tests/requirements.in -o tests/requirements.txt

clean:
	rm -rf _build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'The book needs Python 3.11 or newer; set PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
		{ echo 'No venv: on Debian or Ubuntu, apt-get install python3-venv' >&2; rm -rf $(VENV); exit 1; }

$(BOOK_ENV): | $(BIN)/python
	$(call install,$(BOOK_LOCKS),book-*)

$(TEST_ENV): | $(BIN)/python
	$(call install,$(TEST_LOCKS),*)
	@touch $(BOOK_ENV)

# $(1) the locks, $(2) the stamps of other locks, which no longer tell the truth.
# PYTHONPATH is cleared so that an installer never meets this checkout's modules.
define install
	@mkdir -p $(VENV)/stamps && rm -f $(addprefix $(VENV)/stamps/,$(2))
	@echo 'Setting up $(VENV) from $(1)'
	@PYTHONPATH= $(BIN)/python -m pip install --quiet --disable-pip-version-check '$(UV)' \
		&& PYTHONPATH= $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(addprefix -r ,$(1)) \
		|| PYTHONPATH= $(BIN)/python -m pip install --disable-pip-version-check $(addprefix -r ,$(1))
	@$(BIN)/python -c "$$THIS_CHECKOUT"
	@touch $@
endef

# A chapter opened in Jupyter, wherever its kernel starts, finds the package of this checkout.
define THIS_CHECKOUT
import os, sysconfig
with open(os.path.join(sysconfig.get_path("purelib"), "this_checkout.pth"), "w") as file:
    file.write(os.getcwd() + chr(10))
endef
export THIS_CHECKOUT
