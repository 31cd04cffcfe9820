# What the runner image stands on: Debian's base and every wheel of the lock, slimmed and stripped. Built without network,
# rarely: the image itself (runner.Dockerfile) adds one small layer to it.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS os
RUN command -v espeak-ng >/dev/null || { apt-get update && apt-get install -y --no-install-recommends espeak-ng libgomp1; }

FROM os AS build
COPY torch.lock runner.lock slim.sh /build/
RUN --mount=type=bind,source=wheels,target=/wheels python3 -m venv --copies /opt/venv \
 && /opt/venv/bin/python -m pip install --no-index --find-links /wheels --no-compile --no-deps --require-hashes \
      -r /build/torch.lock -r /build/runner.lock \
 && sh /build/slim.sh /opt/venv

FROM os AS bare
COPY --from=build /opt/venv /opt/venv
COPY strip.py /build/
RUN ["/opt/venv/bin/python", "/build/strip.py"]

FROM scratch
COPY --from=bare / /
ENV PATH=/opt/venv/bin:/usr/bin HOME=/tmp LANG=C.UTF-8 PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/mpl
