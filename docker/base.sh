#!/bin/sh
# Writes a Debian root file system for the runner image to standard output, as a tar: where no registry of images can be
# reached, or nobody wants to trust one. Users elsewhere set BASE_IMAGE instead.
set -eu
# mmdebstrap copies this machine's name and resolver; neither belongs into an image.
exec mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates,libgomp1,espeak-ng \
    --customize-hook='rm -f "$1/etc/resolv.conf" "$1/etc/hostname"' bookworm -
