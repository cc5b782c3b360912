#!/bin/sh
# SPDX-License-Identifier: MIT
#
# analyze.sh [TOOL...]   what compilers and other readers of code find in it
#
#     tools   shellcheck: the scripts
#     gcc     gcc -fanalyzer: the library, one function with all it calls
#     check   cppcheck: all but the tests
#     tidy    clang-tidy: all but the tests, by .clang-tidy
#
# (default: all). Prints what they find, or one line for each. A tool that is
# not installed is skipped and says so. What a tool gets wrong is taken out
# where it says why: in .clang-tidy (bench and examples have one more),
# tools/cppcheck.txt and, for gcc, below.
#
# The programs of tests are left out: they do on purpose what it warns of, they
# run under the sanitizers, Valgrind and the warnings of all compilers, and they
# would take four times as long. Nor can cppcheck know that a CHECK which fails
# does not return. Clang-tidy reads what the tests have in common.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
jobs=${JOBS:-2}
library='runtime reactor sync exec net http'
flags='-std=c11 -D_GNU_SOURCE -Iinclude -I. -pthread'

has() { # TOOL: is it there?
    command -v "$1" >/dev/null && return
    echo "skip $1: not installed"
    return 1
}

# Sources that compile here: the header of epoll is only on Linux, where kqueue
# has that of its stand-in.
files() { # DIRECTORY...
    for d in "$@"; do ls "$d"/*.c; done | grep -v "^reactor/poller_$other\.c$"
}
case $(uname -s) in
Linux) other=none ;;
*) other=epoll ;;
esac

verdict() { # NAME: prints what is in $scratch/found, once each
    sort -u "$scratch/found" >"$scratch/once"
    if [ -s "$scratch/once" ]; then
        cat "$scratch/once"
        bad=1
    else
        echo "ok   $1: $2"
    fi
}

scripts() {
    has shellcheck || return 0
    shellcheck -f gcc tools/*.sh .ci/run >"$scratch/found"
    verdict shellcheck 'the scripts'
}

gcc_analyzer() {
    has gcc || return 0
    # shellcheck disable=SC2016,SC2086 # the inner shell expands; words
    files $library | xargs -n 1 -P "$jobs" sh -c 'gcc '"$flags"' -O1 -fanalyzer \
        $(tools/analyze.sh --gcc-flags "$1") $(tools/analyze.sh --flags "$1") -fdiagnostics-plain-output \
        -c -o /dev/null "$1" 2>&1' - >"$scratch/found"
    verdict 'gcc -fanalyzer' 'the library'
}

cpp_check() {
    has cppcheck || return 0
    # shellcheck disable=SC2086 # words
    cppcheck -q -j "$jobs" --std=c11 --enable=warning,portability,performance \
        --inconclusive \
        --suppressions-list=tools/cppcheck.txt \
        --template='{file}:{line}: {message} [{id}]' --template-location='' \
        -Iinclude -I. -D_GNU_SOURCE -D__GNUC__ -D__x86_64__ -D__linux__ \
        $library examples bench stress fuzz >"$scratch/found" 2>&1
    verdict cppcheck 'library, examples, benchmarks, stress, fuzz targets'
}

tidy() {
    has clang-tidy || return 0
    # shellcheck disable=SC2016,SC2086 # the inner shell expands; words
    {
        files $library examples bench stress fuzz
        files tests | grep -v '/test_'
    } | xargs -n 1 -P "$jobs" sh -c 'clang-tidy --quiet "$1" -- '"$flags"' \
        $(tools/analyze.sh --flags "$1") 2>&1' - |
        grep -E "(^| )(error|warning|Error)[: ]" | sed "s|^$PWD/||" >"$scratch/found"
    verdict clang-tidy 'library, examples, benchmarks, stress, fuzz targets, helpers of tests'
}

case ${1-} in
--flags) # FILE: what the Makefile gives to this one
    case $2 in
    */switch_ucontext.c) echo '-DWF_SWITCH_UCONTEXT' ;;
    */os_posix.c) echo '-DWF_SEAM_POSIX' ;;
    */poller_kqueue.c) [ $other = epoll ] || echo '-Itests/kqueue' ;;
    esac
    exit
    ;;
--gcc-flags) # FILE: what gcc 12 gets wrong in this one
    case $2 in
    # What opendir has opened is kept in a struct whose origin it can't see.
    exec/path.c) echo '-Wno-analyzer-malloc-leak' ;;
    esac
    exit
    ;;
'') set -- tools gcc check tidy ;;
esac

bad=0
for tool in "$@"; do
    case $tool in
    tools) scripts ;;
    gcc) gcc_analyzer ;;
    check) cpp_check ;;
    tidy) tidy ;;
    *) echo "analyze.sh: no tool is called $tool" >&2; exit 2 ;;
    esac
done
exit $bad
