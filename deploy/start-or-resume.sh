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
  if [ -z "${DPMESH_HTTP_TOKEN:-}" ]; then
    token=$run.token
    # Not over what is there, be it a link: somebody else may have put it there, to know it. The group may be let in, as
    # Kubernetes does that to all files of a volume (fsGroup).
    [ -s "$token" ] || rm -f "$token"
    [ -e "$token" ] || (umask 077 && set -C && head -c 24 /dev/urandom | base64 >"$token")
    if [ -z "$(find "$token" -prune -type f -user "$(id -u)" ! -perm /007)" ]; then
      echo "$token is no token of this user's own, or others can read it: remove it" >&2
      exit 2
    fi
    DPMESH_HTTP_TOKEN=$(cat "$token")
  fi
  export DPMESH_HTTP_TOKEN
  ;;
esac
if [ -e "$run/run.json" ]; then exec ${DPMESH:-dpmesh} resume "$run" "$@"; fi
# Without run.json there is nothing to lose: a start that was broken off before the data were read.
exec ${DPMESH:-dpmesh} coordinator --config "$config" --out "$run" --force "$@"
