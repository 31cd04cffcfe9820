#!/bin/sh
# Resolves what the host, the runner image and the tools of development need into lock files with hashes.
# Pins that still fit are kept; `UPGRADE=1 make lock` asks for the newest.
# torch is in no generated lock: docker/torch.lock and docker/torch-cuda.lock list its accepted wheels.
# Shared packages have one version on both sides: each lock is resolved under the ones before it.
. "$(dirname "$0")/common.sh"

uv=.venv/bin/uv
[ -x "$uv" ] || stop "make lock needs .venv: run make lint once"
torch="$WHEELS/runner"

compile() {
    lock=$1
    shift
    "$uv" pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 ${UPGRADE:+--upgrade} \
        --no-emit-package torch --no-emit-package setuptools -c locks/constraints.txt -o "$lock" "$@"
    # uv lists what it left out, which says nothing to a reader of the lock.
    sed -i '/^#/d' "$lock"
    say "$lock: $(grep -c '==' "$lock") packages"
}
compile locks/host.lock pyproject.toml
# docopt (an sdist) serves only num2words' command line; webrtcvad (an sdist) and typing only Resemblyzer's own loader,
# which is not used: its weights are.
compile docker/runner.lock --find-links "$torch" -c docker/torch.lock -c locks/host.lock --no-emit-package docopt \
    --no-emit-package webrtcvad --no-emit-package typing docker/runner.in
compile locks/dev.lock -c locks/host.lock -c docker/runner.lock --extra dev pyproject.toml
compile locks/train.lock -c locks/dev.lock -c docker/runner.lock locks/train.in
compile docker/cuda.lock -c docker/runner.lock docker/cuda.in
