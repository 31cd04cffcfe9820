#!/bin/sh
# Fetches the wheels that everything else installs from, once per lock: `wheels.sh host` or `wheels.sh runner`.
# Afterwards installs need no network: pip install --no-index --find-links FOLDER --require-hashes -r LOCK.
# torch is fetched by version and compared with docker/torch.lock; pip's own settings say where it comes from.
. "$(dirname "$0")/common.sh"

house=${1:?host or runner}
folder="$WHEELS/$house"
case $house in
    host) locks="locks/dev.lock locks/train.lock" ;;
    runner) locks="docker/runner.lock docker/torch.lock" ;;
    *) stop "no wheelhouse '$house': host or runner" ;;
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

fetch_torch() {
    pin=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' docker/torch.lock)
    if [ -d "$folder" ] && fetch --no-index --find-links "$folder" --require-hashes -r docker/torch.lock 2>/dev/null; then return; fi
    say "fetching $pin"
    fetch "$pin" || stop "no wheel of $pin: give pip a folder or an index that has its CPU build (PIP_FIND_LINKS or pip.conf)"
    wheel=$(ls "$new"/torch-*.whl)
    got=$(digest "$wheel")
    grep -q -- "--hash=sha256:$got" docker/torch.lock || {
        name=$(basename "$wheel"); rm -rf "$new"
        stop "$name ($got) is not a wheel that docker/torch.lock accepts: give pip a folder or an index that has the CPU build"
    }
}

if [ "$house" = runner ]; then fetch_torch; fi
for lock in $locks; do
    [ "$lock" = docker/torch.lock ] && continue
    say "fetching the wheels of $lock"
    fetch --find-links "$folder" --require-hashes -r "$lock" || stop "could not fetch the wheels of $lock"
done
echo "$stamp" >"$new/.complete"
rm -rf "$folder"
mv "$new" "$folder"
