# One image, either service by its command:
#   docker run IMAGE                          speech to text
#   docker run IMAGE earshot.classification   classification
#   docker run IMAGE earshot.cli --help       the command
# For CPUs as it stands; `--build-arg TORCH=torch==2.13.0` makes the one for NVIDIA GPUs. The CPU
# build of torch has a version of its own, which is on PyTorch's package index and not on PyPI:
# name that index by `--build-arg PIP_EXTRA_INDEX_URL=...`. Without it the build ends with an error,
# and never with 4 GB of CUDA libraries that nothing can use. All else is held to the hashes in
# deploy/image; torch is too with `--build-arg TORCH_HASH=sha256:...`, the hash of the chosen wheel.

FROM docker.io/library/python:3.11-slim-bookworm AS dependencies
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# What builds is of this stage alone. Without pip inside the other: nothing is installed later.
COPY deploy/image/build.txt deploy/image/requirements.txt /src/
RUN pip install --require-hashes --no-deps --requirement /src/build.txt \
    && python -m venv --without-pip /opt/venv
# No change of code makes these layers anew. What comes as source is built by the backends above.
RUN pip wheel --require-hashes --no-deps --no-build-isolation --requirement /src/requirements.txt \
        --wheel-dir /wheels \
    && grep --only-matching '^[^ ]*==[^ ]*' /src/requirements.txt > /src/releases.txt \
    && pip --python /opt/venv/bin/python install --no-index --find-links /wheels --no-deps --no-compile \
        --requirement /src/releases.txt \
    && rm -r /wheels
ARG TORCH=torch==2.13.0+cpu
ARG TORCH_HASH
ARG PIP_EXTRA_INDEX_URL
# openai-whisper asks for triton, a compiler for GPUs of 1 GB, and does without it on a CPU.
RUN echo "$TORCH${TORCH_HASH:+ --hash=$TORCH_HASH}" > /src/torch.txt \
    && pip --python /opt/venv/bin/python install --no-compile ${TORCH_HASH:+--no-deps} --requirement /src/torch.txt
# A service reads none of this: tests, what torch's C++ users compile with, names for debuggers.
# What it does read is compiled here, as its root file system may be read-only; py312 is for that Python.
RUN cd /opt/venv/lib/python3.11/site-packages \
    && rm -r torch/test torch/include \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && strip --strip-unneeded torch/lib/*.so ctranslate2/*.so llvmlite/binding/*.so \
    && python -m compileall -qq -j 0 -x py312 --invalidation-mode unchecked-hash /opt/venv/lib
# The locks on decoders (ADR 10) need the system's libseccomp, and fail here rather than in silence.
RUN /opt/venv/bin/python -c "import landlock, pyseccomp"
WORKDIR /src
COPY pyproject.toml ./
RUN cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
        --output-file sbom.cdx.json /opt/venv/bin/python

FROM dependencies AS package
COPY LICENSE README.md ./
COPY deploy/envoy deploy/envoy
COPY deploy/prometheus deploy/prometheus
COPY services services
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/venv/bin/python install --no-index --no-deps --no-compile --prefix /package /wheels/*.whl \
    && python -m compileall -qq --invalidation-mode unchecked-hash -s /package -p /opt/venv /package
# What the embedded model is served as, and what a read-only container could not keep.
RUN PYTHONPATH=/package/lib/python3.11/site-packages \
    /opt/venv/bin/python -W ignore -m earshot.classification.engines.export

FROM docker.io/library/python:3.11-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="earshot" \
      org.opencontainers.image.description="Speech to text and zero-shot classification over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm" \
      io.earshot.sbom="/usr/share/doc/earshot/sbom.cdx.json"
RUN groupadd --gid 10001 earshot \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin earshot \
    && install --directory --owner 10001 --group 10001 /models
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /package /opt/venv
COPY --from=package /opt/venv/share/earshot /opt/venv/share/earshot
COPY --from=dependencies /src/sbom.cdx.json /usr/share/doc/earshot/
COPY services/earshot/local/samples /samples
# The root file system may be read-only: all that is ever written goes to /tmp and /models.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_MMAP_THRESHOLD_=134217728 \
    MALLOC_TRIM_THRESHOLD_=134217728 \
    GRPC_ENABLE_FORK_SUPPORT=0 \
    EARSHOT_HOST=0.0.0.0 \
    EARSHOT_CACHE=/models
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051 9464
ENTRYPOINT ["python", "-m"]
CMD ["earshot.stt"]
