#!/usr/bin/env bash
# Writes the lock files of `dpmesh setup` anew, with the hash of each package: after a change of a version in a package.json
# here or in TENSORFLOW below. Needs npm and uv (from PyPI). Then run the tests of the backends: other versions give other bits.
set -euo pipefail
cd "$(dirname "$0")"
TENSORFLOW=2.21.0
for folder in tensorflow webgpu; do
  rm -f "$folder/package-lock.json"
  npm install --prefix "$folder" --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved
done
lock() { uv pip compile - --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --quiet "$@"; }
lock --no-deps >tensorflow.txt <<END
tensorflow-cpu==$TENSORFLOW ; sys_platform == 'linux' and platform_machine == 'x86_64'
tensorflow==$TENSORFLOW ; sys_platform != 'linux' or platform_machine != 'x86_64'
END
# Of the packages that it brings only the libraries of CUDA are kept, so only these are installed.
lock <<<"tensorflow[and-cuda]==$TENSORFLOW" |
  awk '/^[^ ]/ { kept = /^(tensorflow|nvidia-[a-z0-9-]+)(\[|=)/ } kept' >tensorflow-cuda.txt
