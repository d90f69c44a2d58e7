# One image, either service by its command:
#   docker run IMAGE                          speech to text
#   docker run IMAGE earshot.classification   classification
#   docker run IMAGE earshot.cli --help       the command
# For CPUs as it stands; `--build-arg TORCH=torch==2.13.0` makes the one for NVIDIA GPUs. The CPU
# build of torch has a version of its own, which is on PyTorch's package index and not on PyPI:
# name that index by `--build-arg PIP_EXTRA_INDEX_URL=...`. Without it the build ends with an error,
# and never with 4 GB of CUDA libraries that nothing can use.

FROM docker.io/library/python:3.11-slim-bookworm AS dependencies
ARG TORCH=torch==2.13.0+cpu
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Only what the package says that it needs, so that a change of code leaves this layer as it is.
WORKDIR /src
COPY pyproject.toml LICENSE README.md ./
COPY deploy/envoy deploy/envoy
COPY deploy/prometheus deploy/prometheus
COPY services/earshot/__init__.py services/earshot/
# openai-whisper asks for triton, a compiler for GPUs of 1 GB, and does without it on a CPU.
RUN pip install "$TORCH" '.[stt,classification]' \
    && pip uninstall --yes earshot \
    && case "$TORCH" in *+cpu) pip uninstall --yes triton ;; esac

FROM dependencies AS package
COPY services services
RUN pip install --no-deps --prefix /package .

FROM docker.io/library/python:3.11-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="earshot" \
      org.opencontainers.image.description="Speech to text and zero-shot classification over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
RUN groupadd --gid 10001 earshot \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin earshot \
    && install --directory --owner 10001 --group 10001 /models
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /package /opt/venv
COPY services/earshot/local/samples /samples
# The root file system may be read-only: all that is ever written goes to /tmp and /models.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EARSHOT_HOST=0.0.0.0 \
    EARSHOT_CACHE=/models
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051 9464
ENTRYPOINT ["python", "-m"]
CMD ["earshot.stt"]
