#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lint.sh CC [BUILD_DIR] - what a compiler does not check: who may include
# whom, that headers stand alone, that the library asks the outside world for
# something in one place only, and a few marks that every file must carry.
#
# Prints file:line and the reason for each offence, or one line when all is
# well. To let a module see one more private header, edit `seams` below.
set -u
export LC_ALL=C
cc=${1:-cc} out=${2-}
modules='runtime reactor sync exec net http'
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# What a module may include of the private headers of those below it.
seams() {
    case $1 in
    reactor) echo 'runtime/(park|driver|clock|os|assert|list|leaks|stats|annotate|random|fork|serial)\.h' ;;
    sync) echo "$(seams reactor)|runtime/(crash|buffer|remote)\.h|reactor/(reactor|timer|signals)\.h" ;;
    exec) echo "$(seams sync)|runtime/os_(file|names|thread|tty)\.h|sync/(run|group)\.h" ;;
    bench) echo '\.\./runtime/switch\.h' ;; # the one that measures it raw
    fuzz) echo '(net|http)/[a-z0-9_]+\.h' ;; # what parses the octets of strangers
    *) echo 'none' ;;
    esac
}

# The modules whose public headers a module may include.
below() {
    case $1 in
    runtime) echo 'runtime' ;;
    reactor) echo 'runtime|reactor' ;;
    sync) echo 'runtime|reactor|sync' ;;
    exec) echo 'runtime|reactor|sync|exec' ;;
    net) echo 'runtime|reactor|sync|exec|net' ;;
    *) echo 'runtime|reactor|sync|exec|net|http' ;;
    esac
}

headers_of() { # MODULES separated by |: the public headers they own
    grep -EH "^[ /]\* (weft/[a-z0-9_]+\.h) \(($1)\) - " include/weft/*.h |
        sed 's|^include/weft/\([^:]*\)\.h:.*|\1|'
}

# FILE:LINE:NAME for each #include of the files named, as <NAME> or "NAME".
includes() {
    grep -EnH '^[[:space:]]*#[[:space:]]*include' "$@" /dev/null |
        sed 's/^\([^:]*:[0-9]*:\)[^<"]*\([<"][^>"]*[>"]\).*/\1\2/'
}

# check_includes MODULE FILE...: by the rules of the module.
check_includes() {
    module=$1
    shift
    public=$(headers_of "$(below "$module")" | paste -sd '|' -)
    includes "$@" >"$scratch/includes"
    everything='none'
    case $module in bench | examples) everything='<weft\.h>' ;; esac
    grep '<weft[/.]' "$scratch/includes" |
        grep -Ev ":(<weft/($public)\.h>|$everything)$" |
        sed "s|\$| is above $module, or has no owner|"
    grep '"' "$scratch/includes" |
        grep -Ev ":\"([a-z0-9_]+\.h|$module/[a-z0-9_]+\.h|$(seams "$module"))\"$" |
        sed "s|\$| is private to its module|"
}

include_rules() {
    for m in $modules bench examples fuzz; do
        set --
        for f in "$m"/*.[chS] "$m"/*.cc; do
            if [ -e "$f" ]; then set -- "$@" "$f"; fi
        done
        for h in $(headers_of "$m"); do set -- "$@" "include/weft/$h.h"; done
        [ $# = 0 ] || check_includes "$m" "$@"
    done
}

# A cycle among our own headers: tsort knows.
include_cycles() {
    for h in $(headers); do
        includes "$h" | sed 's/^[^:]*:[0-9]*://; s/[<>"]//g' |
            while read -r name; do
                for found in "${h%/*}/$name" "$name" "include/$name"; do
                    if [ -e "$found" ]; then echo "$h $found" && break; fi
                done
            done
    done >"$scratch/edges"
    tsort "$scratch/edges" 2>&1 >/dev/null |
        sed -n 's/^tsort: \([^:]*\.h\)$/\1: in a cycle of includes/p'
}

headers() {
    # shellcheck disable=SC2086 # several words
    find include $modules bench tests fuzz -name '*.h' 2>/dev/null | sort
}

# Code, scripts and the files that build and ship: everything but prose.
sources() {
    find . \( -name build -o -name .git \) -prune -o -type f \( \
        -name '*.[chS]' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' -o -name '*.in' -o \
        -name Makefile -o -path './.ci/*' \) -print | sed 's|^\./||' | sort
}

marks() {
    sources | while read -r f; do
        head -n 3 "$f" | grep -q 'SPDX-License-Identifier: MIT' ||
            echo "$f:1: no SPDX-License-Identifier: MIT"
        case $f in
        *.S) grep -q 'note\.GNU-stack' "$f" ||
            echo "$f:1: no .note.GNU-stack: the stack would be executable" ;;
        include/weft/*) owner=$(headers_of "$(below http)" | grep -x "$(basename "$f" .h)")
            [ -n "$owner" ] ||
                echo "$f:2: the first comment is not 'weft/x.h (module) - ...'"
            grep -q "^#include <${f#include/}>" include/weft.h ||
                echo "$f:1: not in include/weft.h" ;;
        esac
    done
}

# stands_alone FILE FLAG...: the header twice, and nothing else.
stands_alone() {
    h=$1
    shift
    printf '#include "%s"\n#include "%s"\ntypedef int any;\n' "$h" "$h" |
        "$@" -Iinclude -I. -Wall -Wextra -Werror -fsyntax-only - \
            >"$scratch/errors" 2>&1 && return
    echo "$h:1: does not compile alone, twice, with: $*"
    head -n 5 "$scratch/errors"
}

cxx=
for c in "$cc" c++ g++ clang++ clang; do
    if echo | $c -x c++ -fsyntax-only - 2>/dev/null; then cxx=$c && break; fi
done

all_stand_alone() {
    for h in include/weft.h include/weft/*.h; do
        # shellcheck disable=SC2086 # a compiler may be several words
        {
            stands_alone "$h" $cc -x c -std=c11 -pedantic
            [ -z "$cxx" ] || stands_alone "$h" $cxx -x c++ -std=c++11 -pedantic
        }
    done
    # shellcheck disable=SC2086
    for h in $(find $modules -name '*.h' 2>/dev/null | sort); do
        # shellcheck disable=SC2086
        stands_alone "$h" $cc -x c -std=c11 -pedantic -D_GNU_SOURCE
    done
}

# What users write, in each C++ that somebody may have.
all_in_cxx() {
    for c in g++ clang++; do
        if ! echo | $c -x c++ -fsyntax-only - 2>/dev/null; then continue; fi
        for std in 11 14 17 20; do
            $c -std=c++$std -Wall -Wextra -Wpedantic -Werror -D_GNU_SOURCE \
                -Iinclude -I. -fsyntax-only tests/test_cxx_forms.cc \
                2>"$scratch/errors" && continue
            echo "tests/test_cxx_forms.cc:1: does not compile with $c -std=c++$std"
            head -n 5 "$scratch/errors"
        done
    done
}

# What only runtime/os*.[ch] and alloc.c may call, so that a hostile build can
# refuse it. What stands in WF_OS_CALL goes by that door; the calls that are a
# poller's own are in its file. A member (p->close) is somebody's own.
polling='epoll_create1 epoll_ctl epoll_wait epoll_pwait2 syscall eventfd poll
ppoll kqueue kevent'
outside='malloc calloc realloc reallocarray free strdup strndup asprintf
vasprintf aligned_alloc posix_memalign memalign mmap munmap mprotect madvise
mremap mincore mlock clock_gettime gettimeofday time nanosleep clock_nanosleep
usleep sleep alarm setitimer timerfd_create read write readv writev pread
pwrite preadv pwritev preadv2 pwritev2 open openat creat close close_range dup
dup2 dup3 fcntl ioctl socket socketpair bind listen accept accept4 connect
shutdown send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg getsockopt
setsockopt getsockname getpeername poll ppoll select pselect epoll_create
epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 kqueue kevent
eventfd pipe pipe2 fork vfork execve execvp posix_spawn posix_spawnp wait
waitpid waitid wait4 kill raise sigaction signal sigprocmask pthread_sigmask
sigaltstack signalfd getrandom getentropy rand random syscall stat fstat lstat
fsync fdatasync ftruncate sendfile splice copy_file_range unlink rename mkdir
opendir fopen fdopen printf fprintf vfprintf dprintf puts perror exit
pthread_create pthread_kill sched_yield sched_getaffinity sysconf getaddrinfo
tcgetattr tcsetattr isatty ttyname_r getpeereid'

# Comments and strings become blanks first, lines stay as they are.
seam() {
    for m in $modules include/weft; do
        find "$m" -name '*.[ch]' 2>/dev/null
    done | grep -Ev '^runtime/(os[a-z_0-9]*|alloc)\.[ch]$' | sort >"$scratch/library"
    [ -s "$scratch/library" ] || return 0
    # shellcheck disable=SC2046,SC2086,SC2116 # words, on one line
    awk -v names="$(echo $outside)" -v polling="$(echo $polling)" '
    BEGIN {
        n = split(names, list, " "); for (i = 1; i <= n; i++) bad[list[i]]
        n = split(polling, list, " "); for (i = 1; i <= n; i++) own[list[i]]
    }
    FNR == 1 { comment = 0; last = ""; poller = FILENAME ~ /\/poller_/ }
    {
        line = $0; code = ""
        while (line != "") {
            if (comment) {
                if (!(at = index(line, "*/"))) break
                line = substr(line, at + 2); comment = 0
            } else if (match(line, /"([^"\\]|\\.)*"|\/\*|\/\//)) {
                found = substr(line, RSTART, RLENGTH)
                code = code substr(line, 1, RSTART - 1) " "
                line = substr(line, RSTART + RLENGTH)
                if (found == "/*") comment = 1
                if (found == "//") break
            } else { code = code line; break }
        }
        door = (last code) ~ /WF_OS_CALL\(/; last = code
        while (!door && match(code, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
            name = substr(code, RSTART, RLENGTH - 1); sub(/[ \t]+$/, "", name)
            before = substr(code, 1, RSTART - 1)
            if (name in bad && !(poller && name in own) && before !~ /(\.|->)[ \t]*$/)
                printf "%s:%d: %s() outside of runtime/os*\n", FILENAME, FNR, name
            code = substr(code, RSTART + RLENGTH)
        }
    }' $(cat "$scratch/library")
}

executable_stacks() {
    [ -d "$out" ] && command -v readelf >/dev/null || return 0
    find "$out" -name '*.o' -print | sort >"$scratch/objects"
    find "$out" -type f -path '*/*/*' ! -name '*.*' -perm -u+x -print \
        >"$scratch/programs"
    xargs tools/check-elf.sh --stacks <"$scratch/objects"
    xargs readelf -lW <"$scratch/programs" 2>/dev/null | awk '
        /^File: / { file = $2 }
        /GNU_STACK.*RWE/ { print file ": has an executable stack" }'
}

# The programs in the README are such.
readme() {
    awk -v out="$scratch/readme" '/^```c$/ { inside = 1; n++; next }
        /^```$/ { inside = 0 } inside { print >(out n ".c") }' README.md
    for program in "$scratch"/readme*.c; do
        # shellcheck disable=SC2086 # a compiler may be several words
        $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude \
            -fsyntax-only "$program" >/dev/null 2>&1 ||
            echo "README.md: ${program##*/} of its programs does not compile"
    done
}

found=$(
    marks
    readme
    include_rules
    include_cycles
    all_stand_alone
    all_in_cxx
    seam
    executable_stacks
)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    echo "lint: $(printf '%s\n' "$found" | grep -c '^[^ ]*:') findings"
    exit 1
fi
[ -n "$cxx" ] || echo 'skip the headers as C++: no C++ compiler here'
echo "lint: $(sources | wc -l) files, $(headers | wc -l) headers: ok"
