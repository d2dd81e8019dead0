# On a fresh machine: `make demo` sets up and runs the main job, `make test` sets up and passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-all lint format man bench bench-memory bench-quality clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	mkdir -p $(VENV)/share/man/man1 && ln -sf $(CURDIR)/man/*.1 $(VENV)/share/man/man1/  # for man, by $$PATH
	touch $@

demo: $(READY)
	PATH="$(BIN):$$PATH" sh examples/01-main-job.sh demo

test: $(READY)  # a thread a process: with torch's default of one a core, in each, it takes eight times as long
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-all: $(READY)  # slow and oracle tests too: BART (Debian package bart) and the real scans make it complete
	$(BIN)/pytest -m "not gpu"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

man: $(READY)
	$(BIN)/python -m mrikit.cli.man man

bench: $(READY)  # speed against BART and SigPy, alternating in one run
	$(BIN)/python tests/bench/speed.py

bench-memory: $(READY)  # peaks of 40 slices against those of two, command by command
	$(BIN)/python tests/bench/memory.py

bench-quality: $(READY)  # PSNR and SSIM on real and held-out scans against BART's L1-wavelet
	$(BIN)/python tests/bench/quality.py --bart --split all

clean:
	rm -rf $(VENV) demo build *.egg-info
