# Two commands: `make demo` and `make test`. Both make .venv the first time, and install nothing after.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The release that all is tested with. Put first, so that nothing else chooses another; a machine
# without a GPU can have the smaller CPU build by pip's own settings (PIP_EXTRA_INDEX_URL).
TORCH ?= torch==2.13.0

.PHONY: install demo test test-cluster drills fuzz bench lint protos lock audit clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	# What the embedded model is served as: made here, and not when it is first asked.
	$(BIN)/python -W ignore -m earshot.classification.engines.export
	@touch $@

demo: install
	$(BIN)/earshot demo

# Everything that needs neither root nor a cluster, over the real wire, with the real Envoy.
# PYTEST=... adds options, as PYTEST='-k drain'.
test: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest $(PYTEST) tests --ignore tests/cluster

# Against the cluster that KUBECONFIG names, with this image on its nodes.
CLUSTER_IMAGE ?= localhost/earshot:dev
test-cluster: install
	PATH="$(CURDIR)/$(BIN):$$PATH" EARSHOT_CLUSTER_IMAGE=$(CLUSTER_IMAGE) $(BIN)/pytest $(PYTEST) -s tests/cluster

# Faults under load, each answer checked: three hours, and docs/reliability.md says what came of it;
# DRILLS=--short for a part that takes minutes, DRILLS="--only NAME" for one, --list for their names.
drills: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.drills $(DRILLS)

# Speed beside what else one could use: an hour; BENCH="NAME..." for some, --short for seconds each.
bench: install
	$(BIN)/python -m benchmarks $(BENCH)
	$(BIN)/python -m benchmarks --page

# Bytes from outside, made by a fuzzer that sees what they reach. What it finds lies in FUZZ_FINDS; keep it in
# tests/fuzz/corpus when it is mended.
FUZZ_TARGETS ?= audio live tokens labels masks codecs messages config
FUZZ_SECONDS ?= 600
FUZZ_FINDS ?= /tmp/earshot-fuzz
fuzz: install
	for target in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ_FINDS)/$$target && $(BIN)/python -m tests.fuzz $$target -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=$(FUZZ_FINDS)/$$target- $(FUZZ_FINDS)/$$target || exit 1; \
	done

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# After a change of a .proto file.
protos: install
	$(BIN)/python protos/generate.py

# What goes into the image, locked anew: after a change of dependencies, and before a release. torch is
# chosen when the image is built; by its CPU build here nothing of CUDA comes into the lock. LOCK_TORCH names
# another place than PyTorch's own index to read it from.
LOCK_TORCH ?= --torch-backend cpu
LOCK := uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11 \
	--python-platform x86_64-manylinux_2_28
lock: install
	$(BIN)/$(LOCK) $(LOCK_TORCH) --no-emit-package torch --no-emit-package triton \
		--extra stt --extra classification --extra tracing \
		--output-file deploy/image/requirements.txt pyproject.toml
	$(BIN)/$(LOCK) --output-file deploy/image/build.txt deploy/image/build.in

# Asks a public database about every locked release: needs the network.
audit: install
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement deploy/image/requirements.txt
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement deploy/image/build.txt

clean:
	rm -rf $(VENV)
