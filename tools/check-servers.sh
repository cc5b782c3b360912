#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-servers.sh [SECONDS] - the example servers under load, in want and when
# they are told to stop. SECONDS (default 3) is how long a load lasts; the more,
# the surer it is that nothing grows. What several workers could get wrong is
# done again on two, in short.
#
# Works on the loopback alone. Every process is started here and ended by its
# number. The last line has the totals; the status is 1 when a check failed.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-3}
case $seconds in '' | *[!0-9]* | 0) echo "usage: $0 [SECONDS]" >&2; exit 2 ;; esac

make -s examples bench-programs >/dev/null || exit 1
examples=build/examples
bench=$(dirname "$(readlink -f $examples/http_server)")/../bench
scratch=$(mktemp -d) || exit 1
passed=0 failed=0 skipped=0 ours='' workers=1 where='' target=''

end_all() {
    for p in $ours; do
        kill -CONT "$p" && kill -KILL "$p"
    done 2>/dev/null
    rm -rf "$scratch"
}
trap end_all EXIT
trap 'exit 130' INT TERM

# --- verdicts
ok() { passed=$((passed + 1)); echo "ok   $where$1"; }
skip() { skipped=$((skipped + 1)); echo "skip $where$1: $2"; }
fail() { # WHAT REASON [FILE that tells more]
    failed=$((failed + 1))
    echo "FAIL $where$1: $2"
    [ $# -lt 3 ] || tail -n 20 "$3" | sed 's/^/    /'
}

check() { # WHAT REASON COMMAND...: ok if the command succeeds
    local what=$1 reason=$2
    shift 2
    if "$@"; then ok "$what"; else fail "$what" "$reason"; fi
}

# --- processes
now_ms() { echo $(($(date +%s%N) / 1000000)); }
alive() { [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
descriptors() { set -- "/proc/$1/fd/"*; echo $#; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

until_true() { # SECONDS COMMAND...: tries it until it succeeds
    local limit=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt $limit ] || return 1
        sleep 0.05
    done
}

says_address() { address=$(sed -n 's/^listening on //p' "$log") && [ -n "$address" ]; }

start() { # PROGRAM [DESCRIPTORS]: sets server, address and log
    log=$scratch/$1.log
    : >"$log"
    (
        ulimit -n "${2:-4096}" 2>/dev/null || ulimit -n "$(ulimit -Hn)"
        exec "$examples/$1" 127.0.0.1:0 "${target:-$workers}"
    ) 2>>"$log" >&2 &
    server=$!
    ours="$ours $server"
    if until_true 5 says_address; then
        [ $workers = 1 ] || sleep 0.2 # for the others to open theirs
        return
    fi
    fail "$1 starts" "it does not say where it listens" "$log"
    exit 1
}

gone() { ! alive "$1"; }

stop() { # SECONDS: ends the server; its status, and 124 if it took too long
    kill -TERM "$server" 2>/dev/null
    await_end "$1"
}

await_end() { # SECONDS
    local late=0
    until_true "$1" gone "$server" || { late=1; kill -KILL "$server"; }
    wait "$server"
    status=$?
    forget "$server"
    [ $late = 0 ] || status=124
}

forget() { ours=$(echo " $ours " | sed "s/ $1 / /"); }

stops_well() { # WHAT SECONDS
    stop "$2"
    if [ $status = 0 ]; then ok "$1"; else fail "$1" "status $status" "$log"; fi
}

back_to() { [ "$(descriptors "$server")" -le "$1" ]; }

keeps_descriptors() { # WHAT COUNT
    until_true 5 back_to "$2"
    check "$1" "$(descriptors "$server") open, $2 at the start" back_to "$2"
}

answers() { # an HTTP request, by a connection of its own
    local line=
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}" || return 1
    printf 'GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n' >&3
    read -t 5 -r line <&3
    exec 3>&-
    [ "${line%$'\r'}" = 'HTTP/1.1 200 OK' ]
} 2>/dev/null

echoes() {
    local line=
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}" || return 1
    echo 'is there anybody' >&3
    read -t 5 -r line <&3
    exec 3>&-
    [ "$line" = 'is there anybody' ]
} 2>/dev/null

hold() { # COUNT TEXT: connections that send TEXT and then nothing, until killed
    local i fd
    ulimit -n 1024 2>/dev/null
    for ((i = 0; i < $1; i++)); do
        exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}" || exit 1
        printf '%s' "$2" >&$fd
    done
    echo held >"$scratch/held"
    exec sleep 60
} 2>/dev/null

start_holding() { # COUNT TEXT: sets holder; waits until all are connected
    rm -f "$scratch/held"
    hold "$@" &
    holder=$!
    ours="$ours $holder"
    until_true 20 test -e "$scratch/held" ||
        fail "$1 connections are made" 'not within 20 s' "$log"
}

kill_9() {
    kill -KILL "$1"
    wait "$1"
    forget "$1"
} 2>/dev/null

# --- under load: no errors, and nothing grows
heavy_load() {
    local wrk=$scratch/wrk.out before early late
    start http_server
    before=$(descriptors "$server")
    wrk -c 256 -t 1 -d "$seconds" "http://$address/" >"$wrk" 2>&1 &
    local client=$!
    ours="$ours $client"
    sleep "$(awk "BEGIN { print $seconds / 3 }")"
    early=$(rss "$server")
    sleep "$(awk "BEGIN { print $seconds * 2 / 3 - 0.2 }")"
    late=$(rss "$server")
    wait $client
    forget $client
    if grep -Eq 'Socket errors|Non-2xx' "$wrk" || ! grep -q '^Requests/sec' "$wrk"; then
        fail '256 connections, no errors' 'wrk has seen some' "$wrk"
    else
        ok "256 connections, no errors: $(sed -n 's/^Requests.sec: *//p' "$wrk") requests/s"
    fi
    check "memory stays as it is: $early KiB, then $late KiB" 'it grows' \
        test $((late - early)) -lt 64
    keeps_descriptors 'descriptors come back after the load' "$before"
    stops_well 'http_server ends with 0' 6
}

# --- clients that vanish in the middle of what they do
dying_clients() {
    local before early=0 late limit round=0 p clients
    start http_server
    before=$(descriptors "$server")
    limit=$(($(now_ms) + seconds * 1000))
    while [ "$(now_ms)" -lt $limit ]; do
        start_holding 20 $'GET / HTTP/1.1\r\nHo'
        clients=$holder
        "$bench/load" http "$address" --conns 64 --depth 16 --seconds 60 \
            >/dev/null 2>&1 &
        clients="$clients $!"
        "$bench/load" http "$address" --conns 16 --churn --seconds 60 \
            >/dev/null 2>&1 &
        clients="$clients $!"
        ours="$ours $clients"
        sleep 0.2
        for p in $clients; do kill_9 "$p"; done
        round=$((round + 1))
        [ $round != 2 ] || early=$(rss "$server")
    done
    until_true 5 back_to "$before"
    late=$(rss "$server")
    check "http_server outlives its clients, $round times" 'it does not answer' answers
    keeps_descriptors 'descriptors come back after clients were killed' "$before"
    if [ "$early" = 0 ]; then
        skip 'memory stays as it is while clients are killed' 'too short a run'
    else
        check "memory stays as it is: $early KiB, then $late KiB" 'it grows' \
            test $((late - early)) -lt 256
    fi
    stops_well 'http_server ends with 0 after that' 6
}

# --- a client of another hand
curl_parallel() {
    local n
    start http_server
    n=$(curl -s --max-time 30 --parallel --parallel-max 20 -o /dev/null \
        -w '%{http_code}\n' "http://$address/[1-200]" 2>/dev/null | grep -cx 200)
    check 'curl gets 200 of 200, side by side' "it got $n" test "$n" = 200
    stops_well 'http_server ends with 0 after curl' 6
}

# --- SIGTERM: every request that went out is answered
drain() { # RUNS WHAT OPTION...
    local i runs=$1 what=$2 bad=0 slowest=0 begun took
    shift 2
    : >"$scratch/drain.out"
    for ((i = 0; i < runs; i++)); do
        start http_server
        begun=$(now_ms)
        "$bench/load_drain" "$address" "$server" --after 50 "$@" \
            >>"$scratch/drain.out" 2>&1 || bad=$((bad + 1))
        await_end 6
        took=$(($(now_ms) - begun))
        [ $took -le $slowest ] || slowest=$took
        [ $status = 0 ] && continue
        bad=$((bad + 1))
        echo "http_server ended with $status" >>"$scratch/drain.out"
    done
    if [ $bad = 0 ]; then
        ok "$what ($runs runs, $(awk '{ n += $1 } END { print n }' \
            "$scratch/drain.out") requests, slowest stop $slowest ms)"
    else
        fail "$what" "$bad of $runs runs" "$scratch/drain.out"
    fi
}

# --- echo_server
idle_stop() {
    local begun took
    start echo_server
    start_holding 50 ''
    begun=$(now_ms)
    stop 5
    took=$(($(now_ms) - begun))
    kill_9 "$holder"
    check "echo_server ends with idle connections: $took ms" \
        "status $status after $took ms" test "$status:$((took < 1500))" = 0:1
}

port_in_use() {
    local out=$scratch/second.log got
    start echo_server
    timeout 5 "$examples/echo_server" "$address" >"$out" 2>&1
    got=$?
    check 'a port in use: status 1' "status $got" test $got = 1
    if grep -qF "$address" "$out"; then
        ok "a port in use: $(head -n 1 "$out")"
    else
        fail 'a port in use is named' 'it is not' "$out"
    fi
    stops_well 'echo_server ends with 0' 3
}

few_descriptors() {
    local ticks percent
    start echo_server 64
    start_holding 500 'x'
    sleep 0.3
    ticks=$(cpu_ticks "$server")
    sleep 1
    percent=$((($(cpu_ticks "$server") - ticks) * 100 / $(getconf CLK_TCK)))
    check '64 descriptors, 500 clients: the server lives' 'it does not' \
        alive "$server"
    check "it takes $percent % of the CPU while it is full" 'that is too much' \
        test "$percent" -lt 20
    kill_9 "$holder"
    check 'it serves again when they have gone' 'no answer' \
        until_true 5 echoes
    stops_well 'it ends with 0' 3
}

# --- tcp_proxy, in front of http_server
proxy() {
    local behind before result out=$scratch/proxy.out
    start http_server
    behind=$server
    target=$address
    start tcp_proxy
    target=''
    before=$(descriptors "$server")
    check 'tcp_proxy carries a request' 'no answer' answers
    "$bench/load" http "$address" --conns 64 --churn --seconds 1 >"$out" 2>&1
    result=$?
    check 'tcp_proxy carries 64 connections that come and go' "$(cat "$out")" \
        test $result = 0
    start_holding 50 $'GET / HTTP/1.1\r\nHo'
    kill_9 "$holder"
    keeps_descriptors 'descriptors come back to tcp_proxy' "$before"
    kill_9 "$behind"
    check 'tcp_proxy outlives its target' 'it does not' alive "$server"
    stops_well 'tcp_proxy ends with 0' 3
}

if command -v wrk >/dev/null; then
    heavy_load
else
    skip '256 connections under load' 'no wrk here'
fi
dying_clients
if ! command -v curl >/dev/null; then
    skip 'curl side by side' 'no curl here'
else
    curl_parallel
fi
drain 20 'SIGTERM under load loses no request'
drain 20 'SIGTERM with a full backlog loses no request' --backlog
idle_stop
port_in_use
few_descriptors
proxy

workers=2 where='2 workers: ' seconds=1
dying_clients
drain 10 'SIGTERM under load loses no request'
drain 10 'SIGTERM with a full backlog loses no request' --backlog
idle_stop
few_descriptors

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
