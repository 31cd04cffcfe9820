# The runner image. The build has no network: the base brings Debian's packages, the wheelhouse everything else.
# Only the last layer is ours (the container half, by name, and the trust anchors), so that it rebuilds in seconds.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS os
RUN command -v espeak-ng >/dev/null || { apt-get update && apt-get install -y --no-install-recommends espeak-ng libgomp1; }

FROM os AS build
COPY docker/torch.lock docker/runner.lock docker/slim.sh /build/
RUN --mount=type=bind,source=wheels,target=/wheels python3 -m venv --copies /opt/venv \
 && /opt/venv/bin/python -m pip install --no-index --find-links /wheels --no-compile --no-deps --require-hashes \
      -r /build/torch.lock -r /build/runner.lock \
 && sh /build/slim.sh /opt/venv

FROM os AS bare
COPY --from=build /opt/venv /opt/venv
COPY docker/strip.py /build/
RUN ["/opt/venv/bin/python", "/build/strip.py"]

FROM scratch AS libraries
COPY --from=bare / /
ENV PATH=/opt/venv/bin:/usr/bin HOME=/tmp LANG=C.UTF-8 PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/mpl

FROM libraries
COPY sandbox/__init__.py sandbox/errors.py sandbox/statements.py sandbox/records.py sandbox/runs.py sandbox/frames.py /app/sandbox/
COPY sandbox/sealing/ /app/sandbox/sealing/
COPY sandbox/vault/__init__.py sandbox/vault/answers.py sandbox/vault/http.py sandbox/vault/keys.py sandbox/vault/session.py \
     /app/sandbox/vault/
COPY sandbox/training/ /app/sandbox/training/
COPY sandbox/runner/ /app/sandbox/runner/
COPY trust.json /app/trust.json
USER 65532:65532
ENTRYPOINT ["/opt/venv/bin/python", "-m", "sandbox.runner"]
