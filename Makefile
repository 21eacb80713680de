# LLM Compression from Scratch.  `make help` lists what there is to run.

PYTHON ?= python3
PORT ?= 8888
ROLE ?= student
STUDENT ?= $(or $(USER),student)
CONDA_NAME := llm-compression
VENV ?= $(if $(filter $(CONDA_NAME),$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX),.venv)

# Recipes run in the checkout and name its files from there, and what a person sets is
# one word to the shell, so that a space, a quote or a dollar sign in a path is harmless.
quote = '$(subst ','\'',$(1))'
python := $(call quote,$(PYTHON))
bin := $(call quote,$(if $(findstring /,$(VENV)),$(VENV),./$(VENV))/bin)
environment := $(python) tools/environment.py --venv $(call quote,$(VENV)) --extra gpu

# Another Python's packages, and another `lib`, stay out of the course's.
theirs := $(subst $(CURDIR),,$(value PYTHONPATH))
override export PYTHONPATH := $(CURDIR)
unexport PYTHONHOME PYTHONSAFEPATH

.PHONY: help lab serve renew validate submit data clean
.DEFAULT_GOAL := help

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

# For students

lab: python ## open the course in JupyterLab [PORT=8888 BROWSER=none ARGS=...]
	@$(if $(theirs),echo PYTHONPATH is passed over: \
	  the course has packages of its own. Yours: $(call quote,$(theirs)))
	@$(environment)
	@$(bin)/python tools/lab.py --port $(call quote,$(PORT)) --role $(ROLE) \
	  $(if $(filter none,$(BROWSER)),--headless) $(ARGS)

serve: python ## serve SmolLM2 to clients of OpenAI's API [PORT=8000 ARGS=--help]
	@$(environment)
	@$(bin)/python -m lib.decode.server $(ARGS) \
	  $(if $(filter command environment,$(origin PORT)),--port $(call quote,$(PORT)))

renew: python ## take a revised homework, and keep your own beside it [HW=hw_costs]
	@$(environment)
	@$(bin)/python tools/homework.py renew $(HW)

validate: python ## run the tests that you see on your homework [HW=hw_costs]
	@$(environment)
	@$(bin)/python tools/homework.py validate $(HW)

submit: ## hand in, for a trial on one machine [STUDENT=ada HW=hw_costs]
	@$(bin)/python tools/homework.py submit --student $(call quote,$(STUDENT)) $(HW)

data: python ## fetch the model and the texts again, where they are damaged
	@$(environment) --again

# For instructors

grader = $(bin)/python tools/grade.py
one = $(if $(HW),--homework $(call quote,$(HW))) \
  $(if $(filter command environment,$(origin STUDENT)),--student $(call quote,$(STUDENT)))

.PHONY: release handout grade feedback collect grades class instructor

release: python ## build the student version of every homework that changed
	@$(environment)
	@$(bin)/python tools/release.py

handout: python ## what students get, as a zip [WEEK=3 WITHOUT="hw_x 16_kernels" OUT=]
	@$(environment)
	@$(bin)/python tools/handout.py $(if $(WEEK),--week $(call quote,$(WEEK))) \
	  $(if $(OUT),--out $(call quote,$(OUT))) $(if $(WITHOUT),--without $(WITHOUT))

grade: python ## grade what is new [STUDENT= HW= FORCE=1 CLUSTER=tcp://... ARGS=--help]
	@$(environment)
	@$(grader) $(one) $(if $(FORCE),--force) \
	  $(if $(CLUSTER),--cluster $(call quote,$(CLUSTER))) \
	  $(ARGS)

feedback: python ## write feedback once more, after reading and marking [STUDENT= HW=]
	@$(environment)
	@$(grader) feedback $(one)

collect: python ## take a class's submissions from an LMS's zip [ZIP= HW= NAMES= ZONE= SCHEME= ARGS=--dry-run]
	@$(environment)
	@$(grader) collect --zip $(call quote,$(ZIP)) $(one) \
	  $(if $(SCHEME),--scheme $(call quote,$(SCHEME))) \
	  $(if $(NAMES),--names $(call quote,$(NAMES))) \
	  $(if $(ZONE),--zone $(call quote,$(ZONE))) $(ARGS)

grades: python ## fill the worksheet that an LMS exported [SHEET= HW= NAMES= OUT= ARGS=--dry-run]
	@$(environment)
	@$(grader) grades --sheet $(call quote,$(SHEET)) $(one) \
	  $(if $(NAMES),--names $(call quote,$(NAMES))) \
	  $(if $(OUT),--out $(call quote,$(OUT))) $(ARGS)

class: python ## grade a made-up class, to look around [HW=hw_formats ARGS=--remove]
	@$(environment)
	@$(grader) demo $(one) $(ARGS)

instructor: ROLE = instructor
instructor: lab ## open JupyterLab with nbgrader's Formgrader

# For authors

JOBS ?= 2
long := notebooks homework course browser # tests that take long
numbers := notebooks formats quant prune models layers # that compare numbers
tests := -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=15 -rs

.PHONY: test check processors notebooks bench lint

test: python ## run every test: lib, tools, notebooks, homework gates, browser [T=path JOBS=2]
	@$(environment) --extra dev
	@$(python) tools/programs.py
	@OMP_NUM_THREADS=1 $(bin)/python -m pytest $(tests) $(T)

check: python ## what takes minutes: lint, imports, types, tests of lib and tools [JOBS=2]
	@$(environment) --extra dev
	@$(bin)/ruff check . && $(bin)/ruff format --check .
	@OMP_NUM_THREADS=1 $(bin)/python -m pytest $(tests) $(addprefix --ignore=tests/,$(long))

processors: python ## the same numbers under other instruction sets and threads [T=path]
	@$(environment) --extra dev
	@$(bin)/python tools/processors.py $(tests) $(or $(T),$(addprefix tests/,$(numbers)))

notebooks: python ## run every lecture again and store it clean
	@$(environment) --extra dev
	@$(bin)/python tools/notebooks.py execute notebooks
	@$(bin)/python tools/notebooks.py normalize solutions

bench: python ## measure kernels, models and methods [NAME=int4 ARGS="--tokens 1"]
	@$(environment) --extra bench
	@$(bin)/python -m lib.bench $(if $(NAME),$(call quote,$(NAME))) $(ARGS)

lint: python ## format and check the code, notebooks included
	@$(environment) --extra dev
	@$(bin)/ruff format .
	@$(bin)/ruff check --fix .
	@$(bin)/python tools/notebooks.py check notebooks solutions

# For everyone

clean: ## remove what is generated; homework/, submissions and grades stay
	rm -rf course/release *.egg-info build .pytest_cache .ruff_cache .hypothesis \
	  .mypy_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: python
python:
	@command -v $(python) >/dev/null || \
	  { echo "There is no" $(python)": install Python 3.11, 3.12 or 3.13"; exit 1; }
