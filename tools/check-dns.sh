#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-dns.sh EXAMPLE - the resolver against dnsmasq, by the example dns_lookup.
#
# dnsmasq listens on a port of loopback with records of its own, asks nobody
# else, and is ended at the end. Prints a line for each question that went
# wrong, and last how many were right and wrong, as the tests do. Without
# dnsmasq: one skipped.
set -u
export LC_ALL=C
lookup=${1:?which dns_lookup?}
case $lookup in */*) ;; *) lookup=./$lookup ;; esac
dnsmasq=$(command -v dnsmasq || command -v /usr/sbin/dnsmasq) || {
    echo 'skip: no dnsmasq (Debian: dnsmasq-base)'
    echo '0 passed, 0 failed, 1 skipped'
    exit 0
}
dir=$(mktemp -d) || exit 1
pid=
end() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    [ -z "$pid" ] || wait "$pid" 2>/dev/null
    rm -rf "$dir"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

{
    printf '%s\n' 'no-resolv' 'no-hosts' 'no-daemon' 'bind-interfaces' \
        'listen-address=127.0.0.1' 'local=/test/' 'local=/2.0.192.in-addr.arpa/' \
        'local-ttl=60' 'neg-ttl=60' 'log-queries' \
        'host-record=www.test,192.0.2.1,2001:db8::1' \
        'host-record=four.test,192.0.2.4' \
        'host-record=six.test,2001:db8::6' \
        'cname=a.test,b.test' 'cname=b.test,c.test' 'cname=c.test,www.test' \
        'srv-host=_sip._udp.test,www.test,5060,10,5' \
        'srv-host=_sip._udp.test,four.test,5061,20,0' \
        'mx-host=test,four.test,20' 'mx-host=test,www.test,10' \
        'txt-record=text.test,"one string",", and another"' \
        'ptr-record=9.2.0.192.in-addr.arpa,nine.test'
    # Too much for a datagram, so that it is fetched by TCP.
    for i in $(seq 1 40); do
        echo "txt-record=large.test,text number $i of those that fill a message"
    done
} >"$dir/conf"

# The kernel has no port to give to a program that asks for none: some are tried.
start() {
    for port in 20053 21053 22053 23053 24053 25053; do
        "$dnsmasq" --conf-file="$dir/conf" --port=$port --pid-file= \
            --user="$(id -un)" >"$dir/log" 2>&1 &
        pid=$!
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 $pid 2>/dev/null || break
            "$lookup" -s "127.0.0.1:$port" four.test A >/dev/null 2>&1 && return
            sleep 0.2
        done
        kill $pid 2>/dev/null
        wait $pid 2>/dev/null
        pid=
    done
    return 1
}

passed=0 failed=0
# expect STATUS TEXT ARGUMENT...: the lines come sorted; TEXT is a pattern of
# case, in which * stands for anything.
expect() {
    status=$1 want=$2
    shift 2
    got=$("$lookup" -s "127.0.0.1:$port" "$@" 2>&1)
    is=$?
    got=$(echo "$got" | sort)
    # shellcheck disable=SC2254 # it is a pattern
    case $got in
    $want) if [ $is = "$status" ]; then passed=$((passed + 1)) && return; fi ;;
    esac
    failed=$((failed + 1))
    printf 'FAILED dns_lookup %s: %s\n' "$*" "$is"
    echo "$got" | sed 's/^/    /' | head -n 12
}

if ! start; then
    echo "FAILED dnsmasq does not start"
    sed 's/^/    /' "$dir/log" | tail -n 12
    echo '0 passed, 1 failed, 0 skipped'
    exit 1
fi

expect 0 'www.test  address  192.0.2.1
www.test  address  2001:db8::1' www.test
expect 0 'www.test  address  192.0.2.1' www.test A
expect 0 'www.test  address  2001:db8::1' www.test AAAA
expect 0 'WWW.Test.  address  2001:db8::1' WWW.Test. AAAA
expect 0 'a.test  address  192.0.2.1
a.test  address  2001:db8::1' a.test
expect 0 '_sip._udp.test  service at  four.test. port 5061, priority 20, weight 0
_sip._udp.test  service at  www.test. port 5060, priority 10, weight 5' \
    _sip._udp.test SRV
expect 0 'test  mail by  four.test. preference 20
test  mail by  www.test. preference 10' test MX
expect 0 'text.test  text  one string, and another' text.test TXT
expect 0 '192.0.2.9  name  nine.test' 192.0.2.9 PTR
expect 0 '192.0.2.1  name  www.test' 192.0.2.1 PTR
expect 0 '2001:db8::1  name  www.test' 2001:db8::1 PTR
expect 0 '*text number 1 of*text number 40 of*' large.test TXT
expect 1 'nobody.test (A): server 127.0.0.1:*: no such name' nobody.test A
expect 1 'four.test (AAAA): server 127.0.0.1:*: no such records' four.test AAAA
expect 1 'elsewhere.example (A): server 127.0.0.1:*: it says REFUSED' \
    elsewhere.example A
expect 1 'four.test  address  192.0.2.4
four.test (AAAA): server 127.0.0.1:*: no such records
four.test (MX): server 127.0.0.1:*: no such records' four.test A MX AAAA

count=$("$lookup" -s "127.0.0.1:$port" large.test TXT | wc -l)
if [ "$count" = 40 ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED large.test: $count of 40 texts"
fi
# Twice by UDP, and each time by TCP after that.
count=$(grep -c 'query\[TXT\] large.test' "$dir/log")
if [ "$count" = 4 ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED large.test: dnsmasq was asked $count times, not 4"
fi
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
