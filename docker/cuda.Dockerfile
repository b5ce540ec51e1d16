# hudd with CUDA kernels, from the repository's root:   docker build --file docker/cuda.Dockerfile --tag hudd:cuda .
# It runs with   docker run --gpus all hudd:cuda ...   torch brings the CUDA libraries; the core needs the driver only.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update && \
    apt-get install --yes --no-install-recommends cmake g++ make python3-dev python3-venv && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python3 -m venv /build && \
    PIP_CONSTRAINT=constraints.txt /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-trixie
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install --no-cache-dir --constraint /constraints.txt "$(echo /wheels/hudd-*.whl)[serve,parquet,demo]"
RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /data
ENTRYPOINT ["hudd"]
CMD ["--help"]
