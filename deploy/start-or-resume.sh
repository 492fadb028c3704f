#!/bin/sh
# Begins a run, or goes on with it where its directory shows that it has begun; so whoever restarts this may do so at
# any time.
#   start-or-resume.sh RUN CONFIG [flags of this process: --bind, --keys, --http, …]
set -eu
run=$1 config=$2
shift 2
if [ -e "$run/run.json" ]; then exec ${DPMESH:-dpmesh} resume "$run" "$@"; fi
# Without run.json there is nothing to lose: a start that was broken off before the data were read.
exec ${DPMESH:-dpmesh} coordinator --config "$config" --out "$run" --force "$@"
