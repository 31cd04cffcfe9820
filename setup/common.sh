# Sourced by the other scripts: where things are, and how they stop.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WHEELS="${VOICE_SANDBOX_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/voice-sandbox/wheels}"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
cd "$ROOT"

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Runs a command quietly; what it said is shown only when it fails.
quietly() {
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then rm -f "$log"; else
        status=$?; tail -n 30 "$log" >&2; rm -f "$log"; return $status
    fi
}

digest() { cat "$@" | sha256sum | cut -c1-64; }

# The locks are made for one Python, so the environments are made with it: 3.11, with venv and ensurepip.
python311() {
    for candidate in /usr/bin/python3 python3.11 python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v "$candidate"; return
        fi
    done
    stop "Python 3.11 with venv is missing: install python3.11 and python3.11-venv"
}
