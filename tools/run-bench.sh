#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run-bench.sh OUTDIR [QUICK] - runs every benchmark of OUTDIR/bench.
#
# Beside each figure stands its goal; a figure that misses it fails nothing.
# What fails is a benchmark that errs: a server that crashed, a wrong reply, a
# program that did not end in time. All figures go to OUTDIR/bench.json too.
# With QUICK (an argument or in the environment, not empty and not 0) each
# benchmark is short.
out=${1:?usage: run-bench.sh OUTDIR [QUICK]}
QUICK=${2:-${QUICK:-}}
[ "$QUICK" != 0 ] || QUICK=
export QUICK

# The servers' benchmarks come last: churn leaves ports behind that keep the
# kernel busy a minute later.
order='switch yield spawn structured pingpong chan select mutex threads timer
       skynet sleepers memory offload workers udp proxy http echo'

BENCH_JSON=$out/bench.json
export BENCH_JSON
rm -f "$BENCH_JSON"

limit=
if command -v timeout >/dev/null 2>&1; then limit='timeout -k 5 120'; fi

started=$(date +%s)
failed=
run() {
    echo
    $limit "$1" && return
    echo "  FAILED: ${1##*/} ended with $?"
    failed="$failed ${1##*/}"
}

echo "weft benchmarks: $(uname -m), $(uname -sr), $(getconf _NPROCESSORS_ONLN) cores${QUICK:+, quick}"
for name in $order; do
    if [ -x "$out/bench/bench_$name" ]; then run "$out/bench/bench_$name"; fi
done
for program in "$out"/bench/bench_*; do
    if [ ! -x "$program" ] || [ -d "$program" ]; then continue; fi
    case $program in *.o | *.d) continue ;; esac
    known=
    for name in $order; do
        if [ "${program##*/}" = "bench_$name" ]; then known=1; fi
    done
    if [ -z "$known" ]; then run "$program"; fi
done

# Beside bench_workers, where there is Go.
echo
if command -v go >/dev/null 2>&1; then
    $limit go run "$(dirname "$0")/../bench/workers.go" || {
        echo "  FAILED: workers.go ended with $?"
        failed="$failed workers.go"
    }
else
    echo "skip Go beside bench_workers: no go here"
fi

echo
echo "$(($(date +%s) - started)) seconds; all figures: $BENCH_JSON"
if [ -n "$failed" ]; then
    echo "failed:$failed"
    exit 1
fi
