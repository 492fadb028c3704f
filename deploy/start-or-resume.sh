#!/bin/sh
# Begins a run, or goes on with it where its directory shows that it has begun; so whoever restarts this may do so at
# any time.
#   start-or-resume.sh RUN CONFIG [flags of this process: --bind, --keys, --http, …]
set -eu
run=$1 config=$2
shift 2
case " $* " in
*' --http '*)
  # Whoever pauses or stops the run from elsewhere needs a token: made once, kept beside the run for its owner.
  [ -n "${DPMESH_HTTP_TOKEN:-}" ] || [ -s "$run.token" ] || (umask 077 && head -c 24 /dev/urandom | base64 >"$run.token")
  export DPMESH_HTTP_TOKEN="${DPMESH_HTTP_TOKEN:-$(cat "$run.token")}"
  ;;
esac
if [ -e "$run/run.json" ]; then exec ${DPMESH:-dpmesh} resume "$run" "$@"; fi
# Without run.json there is nothing to lose: a start that was broken off before the data were read.
exec ${DPMESH:-dpmesh} coordinator --config "$config" --out "$run" --force "$@"
