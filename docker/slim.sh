#!/bin/sh
# Takes out of an environment what no run needs, and fixes every time, so that the same inputs give the same layer.
set -eu
venv=$1
site=$(echo "$venv"/lib/python3.*/site-packages)
rm -rf "$site"/torchaudio/lib "$site"/torchaudio/_torchaudio*.so
rm -rf "$site"/torch/include "$site"/torch/share "$site"/torch/test
find "$site"/torch/bin -type f ! -name torch_shm_manager -delete 2>/dev/null || true
rm -rf "$site"/pip "$site"/pip-* "$site"/setuptools "$site"/setuptools-* "$site"/pkg_resources "$site"/_distutils_hack "$site"/distutils-precedence.pth
find "$site" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
find "$site" -name '*.a' -delete
# programs that libraries bring: nobody starts them here
rm -rf "$site"/TTS/bin "$site"/tensorboard_data_server/bin
find "$venv/bin" -type f ! -name 'python*' -delete
"$venv"/bin/python -m compileall -q --invalidation-mode unchecked-hash "$site" || true
find "$venv" -exec touch -h -d @0 {} +
