#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz.sh --can CC                      else say why there is no fuzzer
# fuzz.sh SECS FILTER DIR PROGRAM...    SECS seconds of each, with what it has
#                                       found before in DIR and fuzz/corpus
# fuzz.sh --merge FILTER DIR PROGRAM... makes fuzz/corpus of both: the fewest
#                                       and shortest files that reach as much
#
# Prints a line for each: runs, edges reached, files; and how to repeat what
# went wrong.
set -u

number() { # NAME: of the final statistics
    sed -n "s/^stat::$1: *//p" "$log" | tail -n 1
}

fuzz() {
    mkdir -p "$found" "$seeds"
    # Leaks are looked for once, at the end, and what takes 10 s is a finding.
    if "$program" -max_total_time="$secs" -print_final_stats=1 -timeout=10 \
        -rss_limit_mb=1024 -artifact_prefix="$dir/$name-" "$found" "$seeds" \
        >"$log" 2>&1; then
        edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
        printf 'ok    %-12s %11s runs, %7s a second, %5s edges, %5s files\n' \
            "$name" "$(number number_of_executed_units)" \
            "$(number average_exec_per_sec)" "${edges:-?}" \
            "$(find "$found" -type f | wc -l)"
        return
    fi
    bad=1
    grep -E 'not so:|ERROR|runtime error|Test unit written|^ *#[0-9] ' "$log" |
        head -n 20
    echo "FAIL  $name: $log; again: $program $dir/$name-..."
}

merge() {
    mkdir -p "$found" "$seeds" "$dir/merged" && rm -f "$dir/merged"/*
    if "$program" -set_cover_merge=1 -use_counters=0 "$dir/merged" "$seeds" \
        "$found" >"$log" 2>&1 && [ -n "$(ls "$dir/merged")" ]; then
        rm -f "$seeds"/* && mv "$dir/merged"/* "$seeds"
        printf '%-12s %3s files, %6s octets\n' "$name" \
            "$(find "$seeds" -type f | wc -l)" "$(cat "$seeds"/* | wc -c)"
        return
    fi
    bad=1
    tail -n 5 "$log"
    echo "FAIL  $name: $log"
}

act=fuzz secs=0
case $1 in
--can)
    echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        $2 -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null && exit
    echo "$2 has no -fsanitize=fuzzer here"
    exit 1
    ;;
--merge) act=merge ;;
*) secs=$1 ;;
esac
filter=$2 dir=$3 bad=0
shift 3
for program; do
    name=${program##*/fuzz_}
    case $name in *"$filter"*) ;; *) continue ;; esac
    found=$dir/$name seeds=fuzz/corpus/$name log=$dir/$name.log
    mkdir -p "$dir"
    if [ $act = merge ]; then merge; else fuzz; fi
done
exit $bad
