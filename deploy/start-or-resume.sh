#!/bin/sh
# Starts a run, or resumes it if its directory shows that it has started. May be restarted at any time.
#   start-or-resume.sh RUN CONFIG [flags of this process: --bind, --keys, --http, …]
set -eu
run=$1 config=$2
shift 2
case " $* " in
*' --http '*)
  # Pausing or stopping the run over HTTP needs a token. It is generated once and stored next to the run, readable by its
  # owner only.
  if [ -z "${DPMESH_HTTP_TOKEN:-}" ]; then
    token=$run.token
    # Never write over an existing file or through a link: another user may have created it to learn the token. Group access
    # is allowed, because Kubernetes grants it on all files of a volume (fsGroup).
    [ -s "$token" ] || rm -f "$token"
    [ -e "$token" ] || (umask 077 && set -C && head -c 24 /dev/urandom | base64 >"$token")
    if [ -z "$(find "$token" -prune -type f -user "$(id -u)" ! -perm /007)" ]; then
      echo "$token does not belong to this user or is readable by others: remove it" >&2
      exit 2
    fi
    DPMESH_HTTP_TOKEN=$(cat "$token")
  fi
  export DPMESH_HTTP_TOKEN
  ;;
esac
if [ -e "$run/run.json" ]; then exec ${DPMESH:-dpmesh} resume "$run" "$@"; fi
# Without run.json there is nothing to lose: an earlier start was interrupted before the data were read.
exec ${DPMESH:-dpmesh} coordinator --config "$config" --out "$run" --force "$@"
