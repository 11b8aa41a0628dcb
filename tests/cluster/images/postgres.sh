#!/bin/sh
# What the official image does at its start, as far as pods use it: makes the database on an empty volume, reachable by
# nobody meanwhile, then becomes the server.
set -eu
[ "${1:-}" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_USER:=postgres}"
  : "${POSTGRES_DB:=$POSTGRES_USER}"
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    exit 1
  fi
  mkdir -p "$PGDATA"
  password=/dev/shm/password
  (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >"$password")
  initdb --username="$POSTGRES_USER" --pwfile="$password" --no-instructions
  rm -f "$password"
  printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
  if [ "$POSTGRES_DB" != postgres ]; then
    createdb --username="$POSTGRES_USER" --no-password --maintenance-db=postgres "$POSTGRES_DB"
  fi
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi
exec "$@"
