#!/bin/sh
# Fetches the wheels that everything else installs from, once per lock: `wheels.sh host`, `runner` or `cuda`.
# Afterwards installs need no network: pip install --no-index --find-links FOLDER --require-hashes -r LOCK.
# torch is fetched by version and compared with its own list; pip's settings say where it comes from.
. "$(dirname "$0")/common.sh"

house=${1:?host, runner or cuda}
folder="$WHEELS/$house"
case $house in
    host) locks="locks/dev.lock locks/train.lock" ;;
    runner) locks="docker/torch.lock docker/runner.lock" ;;
    cuda) locks="docker/torch-cuda.lock docker/cuda.lock docker/runner.lock" ;;
    *) stop "no wheelhouse '$house': host, runner or cuda" ;;
esac
# shellcheck disable=SC2086
stamp=$(digest $locks)

complete() { [ "$(cat "$folder/.complete" 2>/dev/null)" = "$stamp" ]; }
complete && exit 0
mkdir -p "$WHEELS"
exec 9>"$WHEELS/.lock"
flock 9
complete && exit 0

pip="$(sh setup/venv.sh pip)"
new="$WHEELS/.$house.new"
rm -rf "$new"
mkdir -p "$new"
# -I: pip sees neither the working directory nor PYTHON* variables.
fetch() { quietly "$pip" -I -m pip download -q --no-deps --only-binary :all: -d "$new" "$@"; }

# By digest where it can be had; otherwise by version, to be able to name the wheel that came instead.
fetch_torch() {
    if fetch --find-links "$folder" --require-hashes -r "$1" 2>/dev/null; then return; fi
    pin=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' "$1")
    fetch "$pin" || stop "no wheel of $pin: give pip a folder or an index that has the build of $1 (PIP_FIND_LINKS or pip.conf)"
    wheel=$(ls "$new"/torch-*.whl)
    name="$(basename "$wheel") ($(digest "$wheel"))"
    rm -rf "$new"
    stop "$name is not a wheel that $1 accepts: give pip a folder or an index that has the build it lists"
}

for lock in $locks; do
    say "fetching the wheels of $lock"
    case $lock in
        docker/torch*) fetch_torch "$lock" ;;
        *) fetch --find-links "$folder" --require-hashes -r "$lock" || stop "could not fetch the wheels of $lock" ;;
    esac
done
echo "$stamp" >"$new/.complete"
rm -rf "$folder"
mv "$new" "$folder"
