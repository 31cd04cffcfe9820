#!/bin/sh
# Debian packages that the product, its demo and its tests use. As root on Debian or Ubuntu what is missing is installed;
# elsewhere the programs must be there, and one line says which are not.
. "$(dirname "$0")/common.sh"

packages="
    podman runc conmon uidmap mmdebstrap
    python3 python3-venv libgomp1 espeak-ng ffmpeg openssl strace postgresql
    asterisk-core-sounds-en asterisk-core-sounds-es asterisk-core-sounds-fr asterisk-core-sounds-it asterisk-core-sounds-ru
    asterisk-core-sounds-en-g722 asterisk-core-sounds-es-g722 asterisk-core-sounds-fr-g722 asterisk-core-sounds-it-g722
    asterisk-core-sounds-ru-g722
"
programs="podman runc conmon newuidmap espeak-ng ffmpeg openssl strace"

missing_packages() {
    # shellcheck disable=SC2086
    installed=$(dpkg-query -W -f '${db:Status-Status}:${Package} ' $packages 2>/dev/null || true)
    for package in $packages; do
        case " $installed " in *" installed:$package "*) ;; *) printf ' %s' "$package" ;; esac
    done
}
missing_programs() {
    for program in $programs; do command -v "$program" >/dev/null 2>&1 || printf ' %s' "$program"; done
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    missing=$(missing_programs)
    [ -z "$missing" ] || stop "please install:$missing"
    exit 0
fi
missing=$(missing_packages)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    stop "please install: sudo apt-get install --no-install-recommends$missing"
fi
say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# An image without package lists, or with old ones, needs them first.
# shellcheck disable=SC2086
install() { quietly apt-get install -y -q --no-install-recommends $missing; }
install 2>/dev/null || { quietly apt-get update -q && install; } ||
    stop "could not install:$missing"
