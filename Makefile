# `make demo` and `make test` need Python 3.10 or newer and a package index; everything else they install into .venv.

PYTHON ?= python3
BIN := .venv/bin
# Of `make mutants`: what is changed, and which tests should notice.
OF ?= salreg/losses
BY ?= tests/losses tests/penalties

# Silences the notice that mkdocs-material prints about its successor.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test check docs compatibility benchmark mutants clean

demo: .venv/installed  ## train on photos with a tag, plainly and regularised, and draw where the model looks
	$(BIN)/salreg compare hospital_tag out=demo trainer.max_epochs=6 snapshots.sanity=false snapshots.panel=8 --arms plain,regularised

test: .venv/installed  ## the whole test suite
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build && $(BIN)/pip install -q --no-deps --target build/typecheck .
	MYPYPATH=build/typecheck $(BIN)/mypy -p salreg
	rm -rf build

docs: .venv/with-docs  ## the site, into build/site; a link that leads nowhere is an error
	$(BIN)/mkdocs build --strict --quiet

compatibility: .venv/installed  ## the table of what the regulariser works with, whose cells the tests train
	PYTHONPATH=tests $(BIN)/python -m compatibility.matrix > docs/compatibility.md

benchmark: .venv/installed  ## what a penalised step, an import and the command cost, and post-hoc maps and metrics beside other libraries'
	$(BIN)/pip install -q -c constraints.txt -e ".[benchmark]"
	$(BIN)/python -m benchmarks.step_cost
	$(BIN)/python -m benchmarks.step_cost --trainer
	$(BIN)/python -m benchmarks.step_cost --presets
	$(BIN)/python -m benchmarks.attributions
	$(BIN)/python -m benchmarks.import_time
	@echo "With MNIST at hand: $(BIN)/python -m benchmarks.snapshot_cost --data path/to/mnist"

mutants: .venv/installed  ## which changes of a copy no test notices: make mutants OF=salreg/losses BY=tests/losses
	$(BIN)/pip install -q cosmic-ray
	rm -rf build/mutants && mkdir -p build/mutants && git ls-files -z | xargs -0 cp --parents -t build/mutants
	cd build/mutants/salreg && ln -s ../callbacks ../recipes ../configs .
	printf '[cosmic-ray]\nmodule-path = "%s"\ntimeout = 300.0\nexcluded-modules = []\ntest-command = "%s"\n[cosmic-ray.distributor]\nname = "local"\n' \
		"$(OF)" "$(CURDIR)/$(BIN)/python -B -m pytest -x -q -p no:cacheprovider $(BY)" > build/mutants/mutants.toml
	cd build/mutants && $(CURDIR)/$(BIN)/cosmic-ray init mutants.toml mutants.sqlite
	cd build/mutants && $(CURDIR)/$(BIN)/cosmic-ray baseline mutants.toml
	cd build/mutants && $(CURDIR)/$(BIN)/cosmic-ray exec mutants.toml mutants.sqlite
	$(BIN)/cr-report --surviving-only --show-diff build/mutants/mutants.sqlite

clean:
	rm -rf .venv build demo

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -c constraints.txt torch
	PYTHONWARNINGS=ignore $(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

.venv/with-docs: .venv/installed
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	touch $@
