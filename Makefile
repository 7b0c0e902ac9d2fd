# `make demo` and `make test` need Python 3.10-3.13, pip and a package index.
# Each target first makes its environment, unless that is up to date.

PYTHON ?=
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.10)
TFIO_PYTHONS := python3.11 python3.10 python3.12 python3.9 python3

RUN := .venv/bin/python
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# The library's tests and the data pipeline's. CI runs some of them.
TFIO_TESTS ?= tests/conformance_test.py tests/tfp_cglow tests/train/data
NIGHTLY_TESTS ?= tests/conformance_test.py tests/tfp_cglow

.DEFAULT_GOAL := help
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: build-file demo docs format help lint notebooks play setup setup-docs test test-all test-docs test-extras test-nightly test-serving test-tfio

help:
	@echo 'make demo        train, evaluate and sample on real video (some minutes)'
	@echo 'make play        a local page that draws videos with runs/demo, or WORKDIR=...'
	@echo 'make test        the tests'
	@echo 'make test-all    the tests, every property of every bijector'
	@echo 'make test-tfio   the library and data tests with TensorFlow I/O'
	@echo 'make test-extras the tests of TensorFlow Datasets, Beam, serving, the page'
	@echo 'make test-nightly the library tests on nightly builds of TFP and TensorFlow'
	@echo 'make test-serving the tests of the server of the Open Inference Protocol'
	@echo 'make docs        the site of docs/, in build/site'
	@echo 'make test-docs   runs the cheap commands of docs/'
	@echo 'make notebooks   runs the notebooks of examples/'
	@echo 'make setup       the environment only'
	@echo 'make lint        ruff, whether BUILD is current, imports between folders'
	@echo 'make format      ruff, and BUILD rewritten'

demo: setup
	$(RUN) -m train.main

play: setup
	@$(RUN) -c 'import gradio' 2>/dev/null || echo 'Installing Gradio (once, a minute or more) ...'
	@$(RUN) -m pip install -q --disable-pip-version-check -r requirements/play.txt
	$(RUN) -m train.main --mode=play --workdir='$(or $(WORKDIR),runs/demo)'

test: setup
	$(RUN) $(PYTEST) tests

test-all: setup
	TFP_CGLOW_FULL_CONFORMANCE=1 $(RUN) $(PYTEST) tests

# Without a Python that has wheels of this set it prints a message; in CI it fails.
test-tfio:
	@.ci/venv .venv-tfio requirements/tfio.txt 9 12 $(TFIO_PYTHONS); \
	status=$$?; \
	if [ $$status -eq 3 ] && [ -z "$$CI" ]; then \
	  echo 'test-tfio: skipped.'; exit 0; \
	elif [ $$status -ne 0 ]; then exit 1; fi; \
	if [ -s build/ffmpeg4/ld-path ]; then \
	  export LD_LIBRARY_PATH="$$(cat build/ffmpeg4/ld-path)"; \
	fi; \
	set -x; .venv-tfio/bin/python $(PYTEST) $(TFIO_TESTS)

test-nightly:
	@.ci/venv .venv-nightly requirements/nightly.txt 10 13 $(PYTHONS)
	@.venv-nightly/bin/python -m pip list 2>/dev/null | grep -E '^(tf|keras)'
	.venv-nightly/bin/python $(PYTEST) $(NIGHTLY_TESTS)

# Tests that are skipped without the packages of the extras.
test-extras: setup
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements/extras.txt
	$(RUN) $(PYTEST) tests/train/data/tfds_inputs_test.py tests/train/data/records/prepare_test.py tests/train/serving/warmup_test.py tests/train/play/page_test.py

# In an environment of its own: kserve needs an older protobuf.
test-serving:
	@.ci/venv .venv-serving requirements/serving.txt 10 13 $(PYTHONS)
	.venv-serving/bin/python -m pytest tests/savedmodel_v2_test.py tests/v2_server_test.py

setup:
	@.ci/venv .venv requirements/latest.txt 10 13 $(PYTHONS)

setup-docs: setup
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements/docs.txt

# Needs ruff on PATH, which formats the signatures. (With -q, --strict would see no warnings.)
docs: setup-docs
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(RUN) -m mkdocs build --strict

test-docs: setup
	TFP_CGLOW_RUN_DOCS=1 $(RUN) -m pytest tests/docs_commands_test.py tests/pretrained_test.py -k 'RunTest or Pretrained'

notebooks: setup-docs
	$(RUN) .ci/run_notebooks.py examples/*.ipynb

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) .ci/gen_build.py --check
	.venv/bin/lint-imports

format: setup build-file
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

build-file: setup
	$(RUN) .ci/gen_build.py
