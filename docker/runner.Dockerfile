# The runner image: the container half of the product, by name, and the trust anchors of one installation, in one small
# layer on top of libraries.Dockerfile. A test holds the COPY lines equal to the container half.
ARG LIBRARIES
FROM ${LIBRARIES}
COPY sandbox/__init__.py sandbox/errors.py sandbox/statements.py sandbox/records.py sandbox/runs.py sandbox/frames.py sandbox/memory.py /app/sandbox/
COPY sandbox/sealing/ /app/sandbox/sealing/
COPY sandbox/vault/__init__.py sandbox/vault/answers.py sandbox/vault/http.py sandbox/vault/keys.py sandbox/vault/session.py /app/sandbox/vault/
COPY sandbox/training/ /app/sandbox/training/
COPY sandbox/runner/ /app/sandbox/runner/
COPY trust.json /app/trust.json
USER 65532:65532
ENTRYPOINT ["/opt/venv/bin/python", "-m", "sandbox.runner"]
