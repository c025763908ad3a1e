#!/usr/bin/env bash
# Called by ./dev bench after the build; the work is in bench.py, for snapshots in snapshot.sh, for sampled recordings in
# sampled.py.
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
export WH_SOURCE WH_BUILD="${WH_BUILD:-$WH_SOURCE/build}"
if [ "${1:-}" = snapshot ]; then
    shift
    exec bash "$WH_SOURCE/tests/bench/snapshot.sh" "$@"
fi
if [ "${1:-}" = sampled ]; then
    shift
    exec /usr/bin/python3 "$WH_SOURCE/tests/bench/sampled.py" "$@"
fi
exec /usr/bin/python3 "$WH_SOURCE/tests/bench/bench.py" "$@"
