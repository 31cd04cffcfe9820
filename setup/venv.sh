#!/bin/sh
# Makes a virtual environment from locked wheels, once per lock:
#   venv.sh host    .venv        the host's code and the tools of development
#   venv.sh train   .venv-train  torch, coqui-tts, Opacus: what a recipe runs on, for its tests
#   venv.sh pip     prints a Python with pip that fetches wheels; makes a bare .venv if need be
. "$(dirname "$0")/common.sh"

case ${1:?host, train or pip} in
    pip)
        [ -x .venv/bin/python ] || quietly "$(python311)" -m venv .venv || stop "could not make .venv"
        echo "$ROOT/.venv/bin/python"; exit ;;
    host) venv=.venv; locks="locks/dev.lock"; made_from="$locks pyproject.toml setup/venv.sh" ;;
    train) venv=.venv-train; locks="docker/torch.lock docker/runner.lock locks/train.lock"; made_from="$locks setup/venv.sh" ;;
    *) stop "no environment '$1': host or train" ;;
esac
# shellcheck disable=SC2086
stamp="$(digest $made_from)"
[ "$(cat "$venv/.complete" 2>/dev/null)" = "$stamp" ] && exit 0

sh setup/wheels.sh host
[ "$1" = host ] || sh setup/wheels.sh runner
say "installing $venv"
[ -x "$venv/bin/python" ] || quietly "$(python311)" -m venv "$venv" || stop "could not make $venv"
install() { quietly "$venv/bin/python" -I -m pip install -q --no-index --no-deps "$@"; }
# shellcheck disable=SC2046
install --find-links "$WHEELS/host" --find-links "$WHEELS/runner" --require-hashes $(printf -- '-r %s ' $locks) ||
    stop "could not install $venv"
if [ "$1" = host ]; then install --no-build-isolation -e . || stop "could not install the package into .venv"; fi
# torchaudio's own extensions are built for CUDA and do not load beside a CPU torch; without them it works.
if [ "$1" = train ]; then rm -rf "$venv"/lib/python3.*/site-packages/torchaudio/lib; fi
echo "$stamp" >"$venv/.complete"
