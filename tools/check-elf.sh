#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-elf.sh CC LIBRARY [PROGRAM...]   what was built, read by readelf
# check-elf.sh --stacks OBJECT...        the first rule alone, of several
# check-elf.sh --twice CC [VARIABLE=VALUE...]
#                                        the same archive from another place?
# check-elf.sh --self-test CC            each rule, on an object that breaks it
#
# Of the library's objects:
#     each says that it needs no executable stack;
#     none claims shadow stacks, which a switch of stacks does not keep to; and
#     if one claims IBT (BTI on aarch64), all do, or it would be lost; the
#     assembly may be ready for it alone;
#     a global symbol begins with weft_ or wf_, and those with wf_ are hidden;
#     libc and the compiler's own library have all they ask for, and nothing
#     else is needed;
#     they do not say where they were built.
# Of programs: no executable stack, no text to be relocated, RELRO, all bound
# at the start, no claim of shadow stacks.
#
# Works for any ELF that readelf (READELF) reads. CC links, with LDFLAGS.
set -u
export LC_ALL=C
readelf=${READELF:-readelf}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# --- objects
stacks() { # FILE...: an archive, or several objects
    $readelf -SW "$@" 2>/dev/null | awk '
        function tell() { if (file && !noted) print file ": no .note.GNU-stack" }
        /^File: / { tell(); file = $2; noted = 0 }
        /\.note\.GNU-stack/ { noted = 1
            if ($0 ~ / [A-Z]*X[A-Z]* +[0-9]+ +[0-9]+ +[0-9]+$/)
                print file ": asks for an executable stack" }
        END { tell() }'
}

features() { # ARCHIVE
    $readelf -nW "$1" | awk '
        function tell(f) { for (f in all) if (!(f in with))
            print f ": does not claim " claim ", as others do" }
        /^File: / { file = $2; all[file] = 1 }
        /feature:/ {
            if (/SHSTK/) print file ": claims SHSTK"
            if (match($0, /IBT|BTI/)) {
                with[file] = 1
                if (file !~ /\(switch_/) claim = substr($0, RSTART, RLENGTH)
            }
        }
        END { if (claim != "") tell() }'
}

# What a compiler puts into many objects begins with __x86 and is hidden.
names() { # ARCHIVE
    $readelf -sW "$1" | awk '
        /^File: / { file = $2 }
        ($5 == "GLOBAL" || $5 == "WEAK") && $7 != "UND" {
            if ($8 !~ /^(weft_|wf_)/ && !($8 ~ /^__x86\./ && $6 == "HIDDEN"))
                print file ": " $8 " has a name of somebody else"
            else if ($6 == "DEFAULT" && $8 !~ /^weft_/)
                print file ": " $8 " is not hidden"
        }'
}

# Linked whole, with libc and the compiler's library: does anything lack?
needs() { # ARCHIVE
    echo 'int main(void) { return 0; }' >"$scratch/main.c"
    # shellcheck disable=SC2086 # words
    $cc ${LDFLAGS-} -nodefaultlibs -o "$scratch/whole" "$scratch/main.c" \
        -Wl,--whole-archive "$1" -Wl,--no-whole-archive \
        -Wl,--start-group -lc -lpthread -lgcc -Wl,--end-group \
        >"$scratch/link" 2>&1 && return
    grep -Eo "undefined (reference to|symbol:) .*" "$scratch/link" | sort -u |
        sed "s|^|$1: |" | grep . || sed "s|^|$1: |" "$scratch/link"
}

places() { # ARCHIVE
    grep -aqF "$PWD" "$1" && echo "$1: says that it was built in $PWD"
}

# --- programs
program() { # FILE
    $readelf -lW "$1" | awk -v file="$1" '
        /GNU_STACK/ { stack = 1; if ($0 ~ /RWE/) print file ": has an executable stack" }
        /GNU_RELRO/ { relro = 1 }
        END { if (!stack) print file ": has no GNU_STACK"
              if (!relro) print file ": has no RELRO" }'
    $readelf -dW "$1" | awk -v file="$1" '
        /\((FLAGS|FLAGS_1|NULL|NEEDED)\)/ { dynamic = 1 }
        /TEXTREL/ { print file ": has text relocations" }
        /BIND_NOW|FLAGS_1.* NOW/ { now = 1 }
        END { if (dynamic && !now) print file ": is not all bound at the start" }'
    $readelf -nW "$1" 2>/dev/null | grep -q 'feature:.*SHSTK' &&
        echo "$1: claims SHSTK"
}

examine() { # LIBRARY [PROGRAM...]
    library=$1
    shift
    stacks "$library"
    features "$library"
    names "$library"
    needs "$library"
    places "$library"
    for p in "$@"; do program "$p"; done
}

check() { # LIBRARY [PROGRAM...]
    objects=$($readelf -hW "$1" 2>/dev/null | grep -c '^File: ')
    if [ "$objects" = 0 ]; then
        echo 'skip elf: not made of ELF'
        return
    fi
    examine "$@" >"$scratch/found"
    cat "$scratch/found"
    [ ! -s "$scratch/found" ] || return
    shift
    echo "elf: $objects objects, $# programs: ok"
}

# --- the same archive, whenever and wherever it is built
# Another day shows __DATE__; another place, of another length, a path.
build_in() { # DIRECTORY [VARIABLE=VALUE...]: a copy of the library's sources
    place=$1
    shift
    mkdir -p "$place" || return
    cp -R Makefile include runtime reactor sync exec net http "$place" || return
    make -s -C "$place" "CC=$cc" "$@" >"$scratch/log" 2>&1 ||
        { cat "$scratch/log"; return 1; }
    find "$place/build" -name libweft.a
}

same() { # ARCHIVE ARCHIVE
    cmp "$1" "$2" >"$scratch/difference" 2>&1 && return
    cat "$scratch/difference"
    echo 'the same sources do not give the same archive'
}

twice() { # [VARIABLE=VALUE...]
    one=$(build_in "$scratch/a" "$@") || { echo "$one"; return; }
    other=$(SOURCE_DATE_EPOCH=86400 build_in "$scratch/another/place" "$@") ||
        { echo "$other"; return; }
    same "$one" "$other" >"$scratch/found"
    cat "$scratch/found"
    [ -s "$scratch/found" ] || echo 'elf: built twice, the same: ok'
}

# --- whether each rule can be broken
plant() { # NAME FLAG...: NAME.a, of an object from the text on stdin
    object=$scratch/$1
    shift
    $cc -fvisibility=hidden "$@" -c -o "$object.o" - &&
        ar rcs "$object.a" "$object.o"
}

link() { # NAME FLAG...: a program
    name=$scratch/$1
    shift
    # shellcheck disable=SC2086 # words
    $cc ${LDFLAGS-} -o "$name" "$@" 2>/dev/null
}

# Of what was planted one rule speaks up, in these words; with '' none does.
expect() { # WORDS NAME.a or NAME
    case $2 in
    *.a) said=$(examine "$scratch/$2") ;;
    *) said=$(program "$scratch/$2") ;;
    esac
    verdict "$@"
}

verdict() { # WORDS NAME
    rules=$((rules + 1))
    if [ -n "$1" ]; then
        case $said in *"$1"*) return ;; esac
    elif [ -z "$said" ]; then
        return
    fi
    echo "elf: of $2 it should say '$1', and says '$said'" | tee -a "$scratch/found"
}

self_test() {
    rules=0
    label='.text\n.hidden wf_s\n.globl wf_s\nwf_s:\n'
    note='.section .note.GNU-stack,"",%%progbits\n'
    hard='-Wl,-z,relro,-z,now,-z,noexecstack'
    x86=
    case $($cc -dumpmachine) in x86_64* | i?86*) x86=-fcf-protection=branch ;; esac
    # shellcheck disable=SC2059 # the formats are above
    {
        printf "$label" | plant bare -x assembler
        printf "$label$note" | sed 's/"",/"x",/' | plant stack -x assembler
        printf "$label.data\n.globl weft_d\nweft_d: .long 0\n$note" |
            sed 's/^wf_s:/& .quad weft_d/' | plant text -x assembler
    }
    # shellcheck disable=SC2086 # one word, or none
    echo 'int weft_f(void) { return 0; }' | plant fine $x86 -x c
    echo 'int helper(void) { return 0; }' | plant name -x c
    echo '__attribute__((visibility("default"))) int wf_seen;' | plant seen -x c
    echo 'int none(void); int wf_n(void) { return none(); }' | plant none -x c
    echo 'double cos(double); double wf_c(double x) { return cos(x); }' |
        plant cosine -fno-builtin -x c
    echo "const char *wf_p(void) { return \"$PWD/x.c\"; }" | plant place -x c
    echo 'int main(void) { return 0; }' >"$scratch/p.c"

    expect '' fine.a
    expect 'no .note.GNU-stack' bare.a
    expect 'asks for an executable stack' stack.a
    expect 'helper has a name of somebody else' name.a
    expect 'wf_seen is not hidden' seen.a
    expect 'none' none.a
    expect 'cos' cosine.a
    expect 'says that it was built in' place.a
    if [ -n "$x86" ]; then
        echo 'int wf_c(void) { return 0; }' |
            plant shadow -fcf-protection=full -x c
        echo 'int wf_d(void) { return 0; }' |
            plant without -fcf-protection=none -x c
        ar rcs "$scratch/mixed.a" "$scratch/fine.o" "$scratch/without.o"
        expect 'claims SHSTK' shadow.a
        expect 'does not claim IBT' mixed.a
    fi
    link good $hard "$scratch/p.c" && expect '' good
    link heap $hard,-z,execstack "$scratch/p.c" &&
        expect 'has an executable stack' heap
    link lazy $hard,-z,lazy "$scratch/p.c" && expect 'is not all bound' lazy
    link open $hard,-z,norelro "$scratch/p.c" && expect 'has no RELRO' open
    link moved $hard,-z,notext -pie "$scratch/p.c" "$scratch/text.o" &&
        expect 'has text relocations' moved
    said=$(same "$scratch/fine.a" "$scratch/name.a")
    verdict 'do not give the same archive' fine.a
    [ -s "$scratch/found" ] || echo "elf: $rules of $rules plants are told: ok"
}

[ $# -ge 2 ] || { sed -n '4,9s/^# //p' "$0" >&2; exit 2; }
command -v "$readelf" >/dev/null || { echo 'skip elf: no readelf here'; exit 0; }
: >"$scratch/found"
case $1 in
--stacks) shift && stacks "$@" | tee "$scratch/found" ;;
--twice) cc=$2 && shift 2 && twice "$@" ;;
--self-test) cc=$2 && self_test ;;
*) cc=$1 && shift && check "$@" ;;
esac
[ ! -s "$scratch/found" ]
