#!/bin/sh
# Resolves what the host, the runner image and the tools of development need into lock files with hashes.
# Pins that still fit are kept; `UPGRADE=1 make lock` asks for the newest. torch is in no generated lock (docker/torch.lock).
# Shared packages have one version on both sides: each lock is resolved under the ones before it.
. "$(dirname "$0")/common.sh"

uv=.venv/bin/uv
[ -x "$uv" ] || stop "make lock needs .venv: run make lint once"
torch="$WHEELS/runner"
ls "$torch"/torch-*.whl >/dev/null 2>&1 || sh setup/wheels.sh runner

compile() {
    "$uv" pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 ${UPGRADE:+--upgrade} \
        --custom-compile-command "make lock" "$@"
}
compile -o locks/host.lock pyproject.toml
# docopt (an sdist) serves only num2words' command line; setuptools is nobody's need at run time.
compile --find-links "$torch" -c docker/torch.lock -c locks/host.lock \
    --no-emit-package docopt --no-emit-package setuptools --no-emit-package torch \
    -o docker/runner.lock docker/runner.in
compile -c locks/host.lock -c docker/runner.lock -o locks/dev.lock --extra dev pyproject.toml
compile -c locks/dev.lock -c docker/runner.lock -o locks/train.lock locks/train.in
say "locked: $(grep -c == docker/runner.lock) packages for the runner, $(grep -c == locks/host.lock) for the host, \
$(grep -c == locks/dev.lock) for development"
