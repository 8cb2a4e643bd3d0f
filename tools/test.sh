#!/usr/bin/env bash
# Everything that a change has to pass: format, lint, types, layers, tests.
#   ./tools/test.sh                          all of it
#   ./tools/test.sh tests/run -k report      further arguments go to pytest
# Sets itself up in .venv (see setup.sh); PIP_ARGS goes to pip, NUM_JOBS is the number of test processes.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

set_up
cd -- "$AVSSL_ROOT"
scratch="$(mktemp -d)"
trap 'rm -rf -- "$scratch"' EXIT
# No test may lean on an ffmpeg that happens to be there.
PATH="$AVSSL_VENV/bin:$(path_without "$scratch" ffmpeg ffprobe ffplay)"
# One thread a process: the processes share the cores, and sums come out the same everywhere.
export AVSSL_TEST_SCRIPT=1 PATH OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1

check() {
    printf '== %s\n' "$*"
    "$@"
}
check ruff format --check .
check ruff check .
check pyright
check lint-imports
check pytest -n "${NUM_JOBS:-2}" --dist loadfile "$@"
