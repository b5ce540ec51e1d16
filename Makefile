# make demo   set up .venv, run the whole method on real images, say where the report is
# make test   the same set-up, then the tests, in TEST_PROCESSES processes, 2 by default
# make test-all  the same set-up with all tools that hudd is tested with, then the tests, and what was skipped, by reason
# make programs  install those programs that tests need: a browser, LibreOffice, a cross compiler; by apt-get, as root
# make quick  the same set-up, then the tests that are not marked slow
# make loaded the same set-up, then the tests marked timing LOADED_RUNS times, 10 by default, two runs and a busy loop a core at once
# make mutants  the same set-up with cosmic-ray, then the mutation score of MODULES, by default all of tests/mutants/modules.toml
# make lint   the same set-up, then all of .pre-commit-config.yaml: formatting, lint, types, workflows, Dockerfiles, recipe
# make texts  the same set-up, then what pages say, gathered for translators in hudd/report/locale/hudd.pot
# make docs   the same set-up, then the documentation's pages, in site/
# make sanitize   the same set-up, then the tests of the compiled core under AddressSanitizer and UBSan, but for those of
#                 resident memory: their allocator keeps what is freed
# make fuzz   the same set-up, then FUZZ_MINUTES of corrupted files and calls for every reader, 2 by default
# make wheels no set-up: wheels of the CPU kernels in dist/, for PYTHONS, by default all that are installed, each installed and
#             tested where there is no compiler
# make gpu    no set-up and no network: on a machine with a GPU, torch for CUDA and nvcc, build hudd against the torch of
#             PYTHON, run the tests marked cuda, compute-sanitizer and the benchmarks; resumes where it was interrupted
# The set-up is skipped while nothing that it depends on has changed.

PYTHON ?= python3
OUT ?= hudd-demo
FUZZ_MINUTES ?= 2
TEST_PROCESSES ?= 2
LOADED_RUNS ?= 10
MODULES ?=
PYTHONS ?=
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
INSTALLED := .venv/.installed
READERS := $(patsubst tests/export/readers/%.txt,.venv-peers/%/.installed,$(wildcard tests/export/readers/*.txt))
SOURCES := pyproject.toml setup.py CMakeLists.txt $(CONSTRAINTS) build_backend/hudd_build.py $(shell find csrc -type f)

# Several processes of several threads share the cores: a thread that waits is not to spin. Results are the same.
test test-all: export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo test test-all programs quick loaded mutants lint texts docs sanitize fuzz wheels gpu clean

demo: $(INSTALLED)
	$(BIN)/hudd demo --out $(OUT)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

test-all: $(INSTALLED) .venv/.peers .venv/.axe $(READERS) programs
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --all-peers --durations 30

programs:
	sh tests/programs.sh

quick: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile -m "not slow"

loaded: $(INSTALLED)
	$(BIN)/python tests/loaded.py $(LOADED_RUNS)

mutants: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt cosmic-ray
	OMP_NUM_THREADS=1 nice -n 10 $(BIN)/python tests/mutants $(MODULES)

# pre-commit asks git which files there are; an unpacked archive has the linters of the code alone.
lint: $(INSTALLED)
	if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then \
		$(BIN)/pre-commit run --all-files --show-diff-on-failure; \
	else \
		$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/python release/texts.py --check; \
	fi

texts: $(INSTALLED)
	$(BIN)/python release/texts.py

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

sanitize: $(INSTALLED)
	$(BIN)/python tests/core/sanitized.py -q tests/core tests/attributes/test_statistics.py tests/lrp --ignore tests/lrp/test_memory.py

# The constraints go in by the environment too, so that pip's isolated build environment keeps to them.
$(INSTALLED): $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	PIP_CONSTRAINT=$(CONSTRAINTS) $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(CONSTRAINTS) --editable '.[demo,parquet,jpeg,http,test,lint,docs]'
	touch $@

# The extras alone: hudd is installed, and would be built once more.
.venv/.peers: $(INSTALLED)
	$(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
		print(*extras["peers"], *extras["compression"], sep="\n")' > .venv/peers.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) \
		--requirement .venv/peers.txt
	touch $@

# axe-core, which examines pages for accessibility.
.venv/.axe: $(INSTALLED)
	if command -v npm >/dev/null; then \
		npm install --silent --no-audit --no-fund --prefix .venv/axe axe-core@4.14.1 && touch $@; \
	else echo "npm is not on PATH, so the tests of accessibility are skipped"; fi

# Tools that want other versions of what hudd needs have environments of their own.
.venv-peers/%/.installed: tests/export/readers/%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

fuzz: $(INSTALLED)
	$(BIN)/python tests/fuzz --minutes $(FUZZ_MINUTES) --out tests/fuzz/findings

wheels:
	$(PYTHON) release/wheels.py $(PYTHONS)

gpu:
	$(PYTHON) benchmarks/gpu.py

clean:
	rm -rf .venv .venv-peers build site hudd/_core*.so hudd-demo
