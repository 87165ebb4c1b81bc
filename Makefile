# `make demo` and `make test` need Python 3.10 or newer and a package index; everything else they install into .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check compatibility benchmark clean

demo: .venv/installed  ## train the digits with a decoy, plainly and regularised, and draw where the model looks
	$(BIN)/salreg compare decoy_digits out=demo --arms plain,regularised

test: .venv/installed  ## the whole test suite
	$(BIN)/pytest -n 2

check: .venv/installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build && $(BIN)/pip install -q --no-deps --target build/typecheck .
	MYPYPATH=build/typecheck $(BIN)/mypy -p salreg
	rm -rf build

compatibility: .venv/installed  ## the table of what the regulariser works with, whose cells the tests train
	PYTHONPATH=tests $(BIN)/python -m compatibility.matrix > docs/compatibility.md

benchmark: .venv/installed  ## what a penalised step costs, and post-hoc maps and metrics beside other libraries'
	$(BIN)/pip install -q -c constraints.txt -e ".[benchmark]"
	$(BIN)/python -m benchmarks.step_cost
	$(BIN)/python -m benchmarks.step_cost --trainer
	$(BIN)/python -m benchmarks.step_cost --presets
	$(BIN)/python -m benchmarks.attributions
	@echo "With MNIST at hand: $(BIN)/python -m benchmarks.snapshot_cost --data path/to/mnist"

clean:
	rm -rf .venv build demo

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@
