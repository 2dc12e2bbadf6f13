# `make demo` and `make test` set everything up on a machine with Python 3.11+, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# the server that tests push libraries to: it brings faiss-cpu, which must not be beside faiss-gpu
MILVUS := .venv-milvus
CODE := sora_video sora_video/base sora_video/configs sora_video/pretrain sora_video/index sora_video/downstream sora_video/serve tests benchmarks docs/building

.PHONY: setup setup-test setup-docs demo docs test test-all lint bench-real bench-choices bench-encoders bench-pretrain bench-published bench-reading bench-library bench-downstream bench-serve bench-scale bench-gpu clean

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-test

setup-docs: $(VENV)/.installed-docs

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sora-video needs Python 3.11 or later; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e '.[imagenet]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[hf,imagenet,milvus,onnx,open-clip,ray,serve,test,timm]'
	test -x $(MILVUS)/bin/python || $(PYTHON) -m venv $(MILVUS)
	$(MILVUS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt milvus-lite pymilvus
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[docs]'
	touch $@

demo: setup
	rm -rf demo
	$(BIN)/sora demo --out demo

docs: setup-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-all: lint setup-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m ""

lint: setup-test
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/ruff format --quiet --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

bench-real: setup-test
	$(BIN)/python -m benchmarks.real
	$(BIN)/python -m benchmarks.real --init package:efficientnet_lite0

bench-choices: setup-test
	$(BIN)/python -m benchmarks.choices

bench-encoders: setup-test
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.encoders
	$(BIN)/python -m benchmarks.senses
	$(BIN)/python -m benchmarks.embedding

bench-reading: setup-test
	$(BIN)/python -m benchmarks.reading

bench-pretrain: setup-test
	$(BIN)/python -m benchmarks.loading
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.steps

bench-published: setup-test
	$(BIN)/python -m benchmarks.published
	$(BIN)/python -m benchmarks.first
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.texts

bench-gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu

bench-downstream: setup-test
	$(BIN)/python -m benchmarks.downstream
	$(BIN)/python -m benchmarks.classify

bench-library: setup-test
	$(BIN)/python -m benchmarks.library
	$(BIN)/python -m benchmarks.moments
	$(BIN)/python -m benchmarks.localize

bench-serve: setup-test
	$(BIN)/python -m benchmarks.serve

bench-scale: setup-test
	$(BIN)/python -m benchmarks.growth --model untrained --short 1 --counts 1000 10000 100000 --lengths --slices --name scale-growth.md
	$(BIN)/python -m benchmarks.ray_embedding
	$(BIN)/python -m benchmarks.served
	$(BIN)/python -m benchmarks.needs
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.billion

clean:
	rm -rf $(VENV) $(MILVUS) build dist *.egg-info demo site
