# SPDX-License-Identifier: Apache-2.0
# JupyterLab with this checkout, its kernel, XLA and the command metro; nothing is downloaded when it runs.
#
#   docker build --target cpu -t metrolab:cpu .
#   docker run --rm -p 127.0.0.1:8888:8888 -v metrolab-runs:/home/metro/metrolab/runs metrolab:cpu
#   docker run --rm metrolab:cpu metro recipe list
#
#   docker build --target cuda -t metrolab:cuda .      # the driver is the host's, through NVIDIA's container toolkit
#   docker run --rm --gpus all -p 127.0.0.1:8888:8888 metrolab:cuda
ARG GO_IMAGE=golang:1.26.8-bookworm
ARG BASE_IMAGE=debian:12.12-slim

# The programs of the kernel, in a stage of their own, which keeps what they are made of out of the image.
FROM ${GO_IMAGE} AS tools
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
WORKDIR /src
COPY tools/go.mod tools/go.sum ./
RUN go build -o /out/ ./notebookkernel github.com/janpfeifer/gonb golang.org/x/tools/cmd/goimports golang.org/x/tools/gopls

FROM ${BASE_IMAGE} AS cpu
# The C compiler is for XLA: it is linked by cgo, into every cell that runs a model.
# Debian replaces packages by their security updates, so a pinned version would soon not be found.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gcc git libc6-dev python3 python3-venv tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 --user-group --shell /bin/bash metro \
    && install -d -o metro -g metro /opt/metrolab /home/metro/go /home/metro/metrolab /home/metro/metrolab/runs
COPY --from=tools /usr/local/go /usr/local/go
COPY --from=tools --chown=metro:metro /out /opt/metrolab/bin
ENV METROLAB_TOOLS=/opt/metrolab/bin METROLAB_VENV=/opt/metrolab/venv GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
ENV PATH=/opt/metrolab/bin:/opt/metrolab/venv/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 1000:1000
WORKDIR /home/metro/metrolab

COPY --chown=metro:metro tools/jupyter.txt /opt/metrolab/
RUN python3 -m venv "$METROLAB_VENV" \
    && pip install --no-cache-dir --require-hashes -r /opt/metrolab/jupyter.txt \
    && mv /opt/metrolab/jupyter.txt "$METROLAB_VENV"
COPY --chown=metro:metro go.mod go.sum ./
RUN go mod download

# The set-up finds the rest there, fetches XLA and fills Go's cache, so that a first cell takes a second. The check runs a
# notebook: an image in which cells do not run is not made.
COPY --chown=metro:metro . .
RUN ./scripts/setup --require-xla \
    && ./scripts/lab --setup \
    && bash -c '. scripts/env.sh && go build -o "$METROLAB_TOOLS/metro" ./scripts/metro' \
    && ./scripts/lab --check
EXPOSE 8888
ENTRYPOINT ["tini", "-g", "--"]
CMD ["./scripts/lab", "--ServerApp.ip=0.0.0.0", "--ServerApp.port=8888", "--no-browser"]

FROM cpu AS cuda
# A Python environment is how NVIDIA's libraries come; nothing of Python runs in it but the set-up, which links the plugin.
COPY --chown=metro:metro tools/cuda.txt /opt/metrolab/
RUN python3 -m venv /opt/metrolab/cuda \
    && /opt/metrolab/cuda/bin/pip install --no-cache-dir --require-hashes -r /opt/metrolab/cuda.txt \
    && PATH=/opt/metrolab/cuda/bin:$PATH ./scripts/setup --cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# What a build without --target makes.
FROM cpu
