#!/usr/bin/env bash
# Runs every test of the workspace in two lanes side by side, since most of them wait for pods most of the time: those that
# take turns at the cluster that they break, and all others. The second lane is printed when the first has ended.
set -uo pipefail
cd "$(dirname "$0")/.."

apart=(admission certificates doctor faults install reliability)
options=(--workspace --no-fail-fast)

first=() second=()
for file in tests/*.rs tests/cluster/tests/*.rs; do
  name=$(basename "$file" .rs)
  case " ${apart[*]} " in
    *" $name "*) second+=(--test "$name") ;;
    *) first+=(--test "$name") ;;
  esac
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --quiet "${options[@]}" --no-run || exit
cargo test "${options[@]}" "${second[@]}" -- --show-output >"$log" 2>&1 &
other=$!
# With Ctrl-C the other lane ends as well: it is of the same process group.
cargo test "${options[@]}" --lib --bins "${first[@]}" -- --show-output
ended=$?
echo "tests that have a cluster of their own (they ran meanwhile; waiting for the last ones):"
wait "$other" || ended=$?
cat "$log"
cargo test "${options[@]}" --doc || ended=$?
exit "$ended"
