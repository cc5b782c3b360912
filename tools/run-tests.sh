#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run-tests.sh RUNNER FILTER PROGRAM...   run test programs, two at a time
# run-tests.sh --can-run PROGRAM          else say why it cannot be used
# run-tests.sh --sum FILE                 print the totals in FILE
#
# Prints a line for each program, all there is about failures, and the summed
# totals on the last line. With TOTALS=FILE they are added to that file instead
# and the exit status is that of the running, not of the tests. JOBS is how
# many programs run at once (default: one for each core).
set -u

# Prints "N passed, N failed, N skipped"; fails if any test did or none ran.
sum() {
    awk '{ p += $1; f += $2; s += $3 }
         END { printf "%d passed, %d failed, %d skipped\n", p, f, s
               exit f > 0 || p + s == 0 }' "$1"
}

can_run() {
    command -v "$1" >/dev/null 2>&1 || { echo "no $1 here"; return 1; }
    "$1" true >/dev/null 2>&1 || { echo "$1 does not run here"; return 1; }
}

# One program; in a process of its own, started by xargs. The block it prints
# goes out in one piece: a directory is made by one at a time.
run_one() {
    name=$(basename "$1")
    out=$SCRATCH/$name.out
    # shellcheck disable=SC2086 # both are lists of words
    $TEST_RUNNER "$1" $TEST_FILTER >"$out" 2>&1
    status=$?

    counts=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$out")
    took=$(sed -n 's/^took \(.* s\)$/\1/p' "$out" | tail -n 1)
    # shellcheck disable=SC2086 # three words
    set -- ${counts:-0 1 0}
    if [ $status != 0 ] && [ "$2" = 0 ]; then set -- "$1" 1 "$3"; fi
    echo "$1 $2 $3" >>"$SCRATCH/totals"
    [ "$1$2$3" != 000 ] || return 0

    {
        if [ "$2" = 0 ]; then
            grep '^skip ' "$out"
            printf 'ok   '
        else
            sed -e '/^took /d' -e '/^[0-9]* passed, .* skipped$/d' "$out"
            [ -n "$counts" ] || echo "$name ended with status $status"
            printf 'FAIL '
        fi
        printf ' %-24s %4d passed' "$name" "$1"
        [ "$2" = 0 ] || printf ', %d failed' "$2"
        [ "$3" = 0 ] || printf ', %d skipped' "$3"
        printf '  %s\n' "$took"
    } >"$SCRATCH/$name.block"
    until mkdir "$SCRATCH/lock" 2>/dev/null; do sleep 0.02; done
    cat "$SCRATCH/$name.block"
    rmdir "$SCRATCH/lock"
}

case ${1-} in
--sum) sum "$2"; exit ;;
--can-run) can_run "$2"; exit ;;
--one) run_one "$2"; exit 0 ;;
esac

TEST_RUNNER=$1 TEST_FILTER=$2
shift 2
[ $# -gt 0 ] || { echo "no test programs"; exit 1; }
[ -z "$TEST_RUNNER" ] || TEST_SLOW=1
: "${ASAN_OPTIONS=detect_stack_use_after_return=1}"
: "${UBSAN_OPTIONS=print_stacktrace=1:handle_segv=0:handle_sigbus=0}"
SCRATCH=$(mktemp -d) || exit 1
trap 'rm -rf "$SCRATCH"' EXIT
trap 'exit 130' INT TERM
export TEST_RUNNER TEST_FILTER TEST_SLOW="${TEST_SLOW-}" SCRATCH
export ASAN_OPTIONS UBSAN_OPTIONS

jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" "$0" --one || exit 1

grep -qv '^0 0 0$' "$SCRATCH/totals" || echo "no test matches: $TEST_FILTER"
if [ -n "${TOTALS-}" ]; then
    cat "$SCRATCH/totals" >>"$TOTALS"
else
    sum "$SCRATCH/totals"
fi
