#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cover.sh GCOV DIRECTORY LEAST BUILD...   which lines of the library have run
# cover.sh --forget BUILD...               from now on, that is
#
# Sums what the objects in the directories BUILD have counted (BUILD=cover) and
# prints, for each file, its lines and branches and how many of them have run;
# totals, with and without the branches that only a broken rule takes; and how
# many lines have not run. Those are in DIRECTORY/uncovered.txt, the figures in
# DIRECTORY/files.txt. A line or branch has run if it has in any of the BUILDs;
# code in a header, if it has in any file that includes it; builds that nobody
# has run are passed over. Assembly does not
# count. Fails if less than LEAST percent of the lines have run.
set -u
export LC_ALL=C

counts() { # BUILD...: the counts of the library's objects
    for build in "$@"; do
        for m in runtime reactor sync exec net http; do
            find "$build/$m" -name "*.$kind" 2>/dev/null
        done
    done | sort
}

if [ "${1-}" = --forget ]; then
    shift
    for build in "$@"; do
        [ ! -d "$build" ] || find "$build" -name '*.gcda' -exec rm -f {} +
    done
    exit
fi

gcov=$1 out=$2 least=$3
shift 3
command -v "$gcov" >/dev/null || { echo "skip cover: no $gcov here"; exit 0; }
kind=gcno
for build in "$@"; do # what nobody has run tells nothing
    shift
    [ -z "$(find "$build" -name '*.gcda' 2>/dev/null | head -n 1)" ] ||
        set -- "$@" "$build"
done
[ -n "$(counts "$@")" ] || { echo 'cover: nothing was built for it'; exit 1; }
mkdir -p "$out" || exit 1

# Without a count of its own an object has not run; gcov says so of it, too.
counts "$@" | xargs "$gcov" -t -b -c 2>"$out/gcov.log" |
    awk -v out="$out" -v least="$least" '
    function percent(part, whole) { return whole ? 100 * part / whole : 100 }
    function figures(name, l, ran, b, taken) {
        return sprintf("%-28s %5d of %5d lines %6.2f %%  %5d of %5d branches %6.2f %%",
                       name, ran, l, percent(ran, l), taken, b, percent(taken, b))
    }
    /^ *-: *0:Source:/ {
        file = $0; sub(/^ *-: *0:Source:(\.\/)?/, "", file); at = ""
        ours = file !~ /^\// && file !~ /^tests\//
        next
    }
    !ours { next }
    /^ *[^ :]*: *[0-9]+:/ {
        split($0, part, ":"); count = part[1]; line = part[2] + 0
        gsub(/[ *]/, "", count); at = ""; branch = 0
        if (count == "-" || line == 0) next
        at = file SUBSEP line
        if (!(at in text)) {
            text[at] = substr($0, index($0, ":") + 1)
            sub(/^ *[0-9]+:/, "", text[at]); sub(/^ +/, "", text[at])
            if (!(file in lines)) order[++files] = file
            lines[file]++; number[file, lines[file]] = line
        }
        if (count !~ /^[#=]/) run[at] = 1
        next
    }
    at != "" && /^branch / {
        branch++; key = at SUBSEP branch
        if (!(key in known)) { known[key] = 1; branches[at]++ }
        if ($3 == "taken" && $4 + 0 > 0) taken[key] = 1
    }
    END {
        uncovered = out "/uncovered.txt"; table = out "/files.txt"
        printf "" >uncovered; printf "" >table
        for (i = 1; i <= files; i++) {
            f = order[i]; l = lines[f]; ran = b = t = 0
            for (j = 1; j <= l; j++) {
                at = f SUBSEP number[f, j]
                if (at in run) ran++
                else print f ":" number[f, j] ": " text[at] | ("sort -t: -k1,1 -k2,2n >" uncovered)
                rule = text[at] ~ /WF_ASSERT\(/
                for (k = 1; k <= branches[at]; k++) {
                    b++; plain += !rule
                    if ((at SUBSEP k) in taken) { t++; plain_taken += !rule }
                }
            }
            print figures(f, l, ran, b, t) | ("sort | tee " table)
            all_l += l; all_ran += ran; all_b += b; all_t += t
        }
        close("sort | tee " table); close("sort -t: -k1,1 -k2,2n >" uncovered)
        print figures("total", all_l, all_ran, all_b, all_t)
        printf "less the rules that are asserted: %d of %d branches %.2f %%\n",
               plain_taken, plain, percent(plain_taken, plain)
        printf "%d lines have not run: %s\n", all_l - all_ran, uncovered
        if (percent(all_ran, all_l) < least) {
            printf "cover: less than %s %% of the lines\n", least
            exit 1
        }
    }'
