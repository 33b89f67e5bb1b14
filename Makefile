# make demo and make test do all the set-up there is; nothing has to be installed before but Python 3.10-3.13.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# make bench: DATASET and DATA_PATH name another dataset, PLM a folder with an encoder of six layers.
DATASET ?= demo
DATA_PATH ?= dataset

.PHONY: install demo test lint bench

install: $(INSTALLED)

# RecBole comes last and alone: from Python 3.12 on, one of its dependencies cannot be installed (see setup.py).
$(INSTALLED): setup.py constraints.txt
	@echo "installing into $(VENV), a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install -q -c constraints.txt --no-deps recbole
	@touch $@

demo: install
	$(BIN)/python -m recbole_tinynews.demo

# The GPU's kernel is tested without one by Triton's interpreter, which has to be told before anything is imported.
test: install
	$(BIN)/python -m pytest
ifeq ($(shell uname -sm),Linux x86_64)
	$(BIN)/python -m pip install -q -c constraints.txt triton
	TRITON_INTERPRET=1 $(BIN)/python -m pytest tests/layers/test_gpu_attention.py
endif

bench: install
	$(BIN)/python -m benchmarks.speed --dataset=$(DATASET) --data_path=$(DATA_PATH) $(if $(PLM),--plm=$(PLM))

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy
