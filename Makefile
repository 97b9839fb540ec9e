# Two commands: `make study` and `make test`. Each sets up what it needs; a second call finds it there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= agg
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export PROBE_AXE ?= $(wildcard $(abspath $(VENV))/axe/package/axe.min.js)

TORTURE_MINUTES ?= 75

.PHONY: study test lint browser docs logs bench torture notebooks clean

study: $(VENV)/study.done
	$(BIN)/probe run all

test: $(VENV)/test.done lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup --nbmake tests notebooks

lint: $(VENV)/test.done
	$(BIN)/ruff check probe tests benchmarks notebooks torture docs
	$(BIN)/ruff format --check probe tests benchmarks notebooks torture docs
	$(BIN)/mypy
	$(BIN)/lint-imports

# What the tests of the pages look through, where it can be had: Debian's Chromium (as root), and axe from npm.
browser: $(VENV)/test.done
	command -v chromium >/dev/null || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium </dev/null)
	mkdir -p $(VENV)/axe && cd $(VENV)/axe && npm pack --silent axe-core@4.14.1 && tar -xzf axe-core-4.14.1.tgz

# The pages that the code writes, then all of them into site/index.html; a warning is an error.
docs: $(VENV)/docs.done
	$(BIN)/python -m docs.making build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -E -c docs -d build/doctrees build/docs site

# What reads our logs. Inspect caps fsspec, and trackio pillow: an environment of their own that sees ours.
logs: .venv-logs/done
	.venv-logs/bin/python -m pytest -W ignore tests/test_inspect_logs.py tests/test_loggers.py

bench: $(VENV)/test.done .venv-trl/done
	$(BIN)/probe fetch smollm2-135m
	$(BIN)/python benchmarks/grpo_round.py --trl-python .venv-trl/bin/python --json benchmarks/grpo_round.json
	$(BIN)/python benchmarks/grpo_real.py --trl-python .venv-trl/bin/python --threads 2 --json benchmarks/grpo_real.json
	$(BIN)/python benchmarks/export_trl.py --trl-python .venv-trl/bin/python --json benchmarks/export_trl.json

# Kills, damages and bad inputs at random: a new SEED each run, unless one is given.
torture: $(VENV)/test.done
	$(BIN)/python -m torture --minutes $(TORTURE_MINUTES) $(if $(SEED),--seed $(SEED))

# -qq: a machine with extra package indexes prints a warning for every package it does not hold.
# An installation that was killed may have left half a package that pip takes for whole: it starts over.
UNFINISHED := $(VENV)/unfinished
$(VENV)/study.done: pyproject.toml constraints.txt
	test ! -e $(UNFINISHED) || rm -rf $(VENV)
	mkdir -p $(VENV) && touch $(UNFINISHED)
	$(PYTHON) -m venv $(VENV)
	$(PIP) -q -e .
	touch $@ && rm $(UNFINISHED)

$(VENV)/test.done: $(VENV)/study.done
	touch $(UNFINISHED) && rm -f $(VENV)/study.done
	$(PIP) -q -e ".[test]"
	touch $(VENV)/study.done $@ && rm $(UNFINISHED)

$(VENV)/docs.done: $(VENV)/study.done
	touch $(UNFINISHED) && rm -f $(VENV)/study.done
	$(PIP) -q -e ".[docs]"
	touch $(VENV)/study.done $@ && rm $(UNFINISHED)

# TRL is a peer, not a dependency: it has an environment of its own.
.venv-trl/done:
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/python -m pip install -qq -c constraints.txt torch transformers trl==1.16.0 accelerate datasets jaxtyping peft
	touch $@

SITE := -c 'import site; print(site.getsitepackages()[0])'
.venv-logs/done: $(VENV)/test.done
	$(PYTHON) -m venv .venv-logs
	echo "import site; site.addsitedir('$$($(BIN)/python $(SITE))')" > "$$(.venv-logs/bin/python $(SITE))/beside.pth"
	.venv-logs/bin/python -m pip install -qq inspect-ai==0.3.285 trackio==0.43.0 tensorboard==2.21.0
	.venv-logs/bin/python -m pip install -qq --no-deps trl==1.16.0
	touch $@

clean:
	rm -rf $(VENV) .venv-trl .venv-logs .probe build site
