HOST ?= 127.0.0.1
PORT ?= 7860
PYTHON ?= python3
WORKER ?= $(or $(TOKENSCOPE_WORKER),local)
BIN := .venv/bin
# Python compiles what it imports; compiling all of torch's and gradio's files takes longer than to install them.
PIP := pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo test test-rest test-grid test-all fuzz security eval-test lint format bench gpu openmp load faults train-image train-video ship-image ship-video judge accuracy bench-methods bench-skills probe curves findings docs methods matrix costs gallery examples typical stories screenshots space clean

# MODEL=llava-onevision-0.5b, a folder or org/name; asks before it fetches weights, YES=1 does not ask.
# WORKER=ray runs lanes on a Ray cluster: one started here, or the one that RAY_ADDRESS names.
demo: .venv/installed $(if $(filter ray,$(WORKER)),.venv/installed-ray)
	TOKENSCOPE_WORKER=$(WORKER) $(BIN)/python -m app demo --host $(HOST) --port $(PORT) $(if $(MODEL),--model $(MODEL)) $(if $(YES),--yes)

# Every law on every method once a family, all parity, the page by its API: no browser, no server.
FAST := not (browser or slow or grid or fault)
test: .venv/installed-dev
	$(BIN)/python -m pytest -n auto -m "$(FAST)"

# The rest: the page in a browser, servers, Ray, faults.
test-rest: .venv/installed-dev .venv/installed-ray .venv/installed-int4
	$(BIN)/python -m pytest -n auto -m "not ($(FAST)) and not grid"

# Every case of every method on every model: after a change of the engine or of a method.
test-grid: .venv/installed-dev
	$(BIN)/python -m pytest -n auto -m grid

test-all: test test-rest test-grid

# Damaged uploads and odd requests by the thousand; SEED=… repeats a run.
fuzz: .venv/installed-dev
	$(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED))

# The tests of strangers' files and requests, each by its name.
security: .venv/installed-dev
	$(BIN)/python -m pytest -m security -v

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The plug-in for lmms-eval, in an environment of its own.
eval-test: .venv-eval/installed
	.venv-eval/bin/python -m pytest tests/eval

# Speed and memory of the page on this machine: printed, never asserted.
bench: .venv/installed
	$(BIN)/python -m app speed
	$(BIN)/python -m app speed --model embedded-video
	$(BIN)/python -m app compression
	$(BIN)/python -m app speed --analysis --repeats 25 --json assets/results/analysis-image.json
	$(BIN)/python -m app speed --analysis --repeats 25 --model embedded-video --json assets/results/analysis-video.json

# Checks and times of this machine's GPU, in at most eight minutes; then `make docs` for docs/benchmarks.md.
# Any Python with torch and transformers will do: GPU_PYTHON=python3. OFFICIAL=folder of the papers' own code.
GPU_PYTHON ?= $(BIN)/python
gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),.venv/installed-dev)
	$(GPU_PYTHON) -m app.measure.gpu $(if $(OFFICIAL),--official $(OFFICIAL))

# What OpenMP's waiting threads cost, without and with busy loops, in three minutes: see models/openmp.py.
openmp: .venv/installed
	$(BIN)/python -m app.measure.openmp

# Fifty visitors for two minutes, after one to warm up: whether each gets its own answer, how long it waits, memory.
load: .venv/installed
	$(BIN)/python -m app load

# Tests that break something on purpose; prints what a visitor sees.
faults: .venv/installed-ray .venv/installed-dev
	$(BIN)/python -m pytest -m fault -rP --show-capture=stdout

# All stages of the embedded image model; continues if it was stopped. Then: make ship-image.
# DEVICE=cuda or cpu; MINUTES=… is a time limit; BEGIN=folder of a trained picture model.
TRAINING := $(if $(DEVICE),--device $(DEVICE)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(BEGIN),--begin $(BEGIN))
train-image: .venv/installed
	$(BIN)/python -m models.embedded.training.image all $(TRAINING)

# The same for the embedded video model, which begins from the image model, or from GO_ON=folder of a video model. Then: make ship-video.
train-video: .venv/installed
	$(BIN)/python -m models.embedded.training.video all $(TRAINING) $(if $(GO_ON),--go-on $(GO_ON))

# Copies the model of the last checkpoints (WORK=their folder) to assets/, and its logs to those of the card.
ship-image ship-video: ship-%: .venv/installed
	$(BIN)/python -m models.embedded.training.keep $* $(if $(WORK),--work $(WORK)) --out assets/embedded/$* --logs models/embedded/logs/$*

# Weights in a folder on unseen scenes, before they ship: FOLDER=…, KIND=image, video or skills.
judge: .venv/installed
	$(BIN)/python -m models.embedded.judge $(FOLDER) --kind $(or $(KIND),image)

# Accuracy of the embedded models with all tokens, on scenes like in training and on harder splits.
HARDER := sizes crowd clutter alike hard
accuracy: .venv/installed
	$(BIN)/python -m app bench --go-on --scenes 1000 --methods vanilla --json assets/results/accuracy/image-plain.json
	$(BIN)/python -m app bench --go-on --model embedded-video --clips 1000 --methods vanilla --json assets/results/accuracy/video-plain.json
	for split in $(HARDER); do \
	  $(BIN)/python -m app bench --go-on --scenes 300 --split $$split --methods vanilla --json assets/results/accuracy/image-$$split.json && \
	  $(BIN)/python -m app bench --go-on --model embedded-video --clips 300 --split $$split --methods vanilla --json assets/results/accuracy/video-$$split.json \
	  || exit 1; done

# Accuracy of every method by ratio; then: make docs.
bench-methods: .venv/installed
	$(BIN)/python -m app bench --go-on --methods all --scenes 500 --json assets/results/bench-scenes.json
	$(BIN)/python -m app bench --go-on --model embedded-video --methods all --clips 300 --json assets/results/bench-clips.json

# Accuracy of some methods by the skill that a question needs; then: make docs.
bench-skills: .venv/installed
	$(BIN)/python -m app bench --go-on --split skills --scenes 200 --retention 0.222 --json assets/results/bench-skills.json

# Whether the encoders' features contain places, and whether their attention finds objects; then: make docs.
PROBE := $(BIN)/python -m models.embedded.training.probe
ATTENTION := $(BIN)/python -m models.embedded.training.attention
probe: .venv/installed
	$(PROBE) --json assets/results/probe-image.json
	$(PROBE) --model embedded-video --json assets/results/probe-video.json
	$(ATTENTION) --json assets/results/attention-image.json
	$(ATTENTION) --model embedded-video --clips 200 --json assets/results/attention-video.json

# The training curves of both models, from models/embedded/logs.
curves: .venv/installed
	$(BIN)/python -m app curves

# The papers' findings and tables on the embedded models; goes on where it was stopped. COUNT=5: a trial in out/trial.
# MODEL=embedded-image or embedded-video: that one alone.
findings: .venv/installed
	$(BIN)/python -m app findings $(if $(MODEL),--model $(MODEL)) $(if $(COUNT),--count $(COUNT) --out out/trial)

# All generated pages and tables of the docs, from stored results; measures nothing.
docs: .venv/installed
	$(BIN)/python -m app docs

# Which laws and parity tests each method passes; then: make docs.
methods: .venv/installed-dev
	$(BIN)/python -m pytest -n auto -m "law or parity" --methods-report=assets/results/methods-tests.json

# Every method on a tiny model of every family; then: make docs.
matrix: .venv/installed-dev
	$(BIN)/python -m tests.matrix

# FLOPs and caches of published shapes, counted; times of the embedded models, measured; then: make docs.
COUNT := $(BIN)/python -m app timing --count
TIME := $(BIN)/python -m app timing
costs: .venv/installed
	$(COUNT) --model llava-1.5-7b@random --json assets/results/costs/llava-1.5-7b.json
	$(COUNT) --model llava-onevision-7b@random --frames 32 --json assets/results/costs/llava-onevision-7b.json
	$(COUNT) --model llava-video-7b@random --frames 64 --json assets/results/costs/llava-video-7b.json
	$(COUNT) --model qwen2.5-vl-7b@random --size 1008x1008 --json assets/results/costs/qwen2.5-vl-7b.json
	$(TIME) --json assets/results/timing/embedded-image.json
	$(TIME) --model embedded-video --json assets/results/timing/embedded-video.json

# What every method does to one picture, and those for clips to one clip.
gallery: .venv/installed
	$(BIN)/python -m app gallery

examples: .venv/installed
	$(BIN)/python -m app examples

# How often the page's default methods are right together on unseen uploads; `make stories` chooses by it.
typical: .venv/installed
	$(BIN)/python -m app typical
	$(BIN)/python -m app typical --kind video

# After every change of the weights or the examples, and after `make typical`: what each example shows, and the page's first view.
stories: .venv/installed
	$(BIN)/python -m app stories

# After every change of the page's look or of the stories: the README's picture. Needs a Chromium.
screenshots: .venv/installed-dev
	$(BIN)/python -m tests.screenshot

# A folder ready to be pushed as a Space; MODEL=… with its weights, ZERO=1 for ZeroGPU.
space: .venv/installed
	$(BIN)/python -m app space $(if $(MODEL),--model $(MODEL)) $(if $(ZERO),--zero)

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	$(BIN)/python -m $(PIP) -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m $(PIP) -r requirements-dev.txt
	touch $@

.venv-eval/installed: requirements-eval.txt requirements.txt
	$(PYTHON) -m venv .venv-eval
	.venv-eval/bin/python -m $(PIP) -r requirements-eval.txt pytest
	.venv-eval/bin/python -m $(PIP) --no-deps lmms-eval==0.7.3
	touch $@

.venv/installed-ray: requirements-ray.txt .venv/installed
	$(BIN)/python -m $(PIP) -r requirements-ray.txt
	touch $@

.venv/installed-int4: requirements-int4.txt .venv/installed
	$(BIN)/python -m $(PIP) -r requirements-int4.txt
	touch $@

clean:
	rm -rf .venv .venv-eval
