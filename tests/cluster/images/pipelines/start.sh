#!/bin/sh
# The stand-in for Pipelines: it starts only with what the real one needs, and with what it does wrong by itself kept
# away from it (several addresses, another folder).
fail() {
  echo "$1" >&2
  exit 1
}
[ -n "${PIPELINES_API_KEY:-}" ] || fail "PIPELINES_API_KEY is not set: the public default would count"
[ -z "${PIPELINES_URLS:-}" ] || fail "PIPELINES_URLS is set: only the first address would be fetched, into ./pipelines"
[ -n "${PIPELINES_DIR:-}" ] || fail "PIPELINES_DIR is not set"
touch "$PIPELINES_DIR/.writable" || fail "$PIPELINES_DIR cannot be written: valves.json and failed/ go there"
rm "$PIPELINES_DIR/.writable"
[ -w "$HOME" ] || fail "HOME cannot be written: pip installs into it without root"
cd /app || exit 1
exec python3 -m uvicorn main:app --host "${HOST:-0.0.0.0}" --port "${PORT:-9099}" --forwarded-allow-ips '*'
