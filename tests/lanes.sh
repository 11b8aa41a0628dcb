#!/usr/bin/env bash
# Runs every test of the workspace in three lanes side by side, since most of them wait for pods most of the time: those that
# take turns at the cluster that they break, those that start clusters of their own, and all others. The last lane is shown as
# it runs, the first two when it has ended.
set -uo pipefail
cd "$(dirname "$0")/.."

broken=(admission certificates doctor faults install reliability)
own=(pages)
options=(--workspace --no-fail-fast)

all=()
for file in tests/*.rs tests/cluster/tests/*.rs; do
  all+=("$(basename "$file" .rs)")
done
mapfile -t rest < <(printf '%s\n' "${all[@]}" | grep -vxF -f <(printf '%s\n' "${broken[@]}" "${own[@]}"))

lane() { cargo test "${options[@]}" "$@" -- --show-output; }

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
cargo test --quiet "${options[@]}" --no-run || exit
# With Ctrl-C these end as well: they are of the same process group.
lane "${broken[@]/#/--test=}" >"$logs/broken" 2>&1 &
first=$!
lane "${own[@]/#/--test=}" >"$logs/own" 2>&1 &
second=$!
lane --lib --bins "${rest[@]/#/--test=}"
ended=$?
echo "tests that break their cluster or start their own (they ran meanwhile; waiting for the last ones):"
wait "$first" || ended=$?
wait "$second" || ended=$?
cat "$logs/broken" "$logs/own"
cargo test "${options[@]}" --doc || ended=$?
exit "$ended"
