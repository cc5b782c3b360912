#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-http.sh [SECONDS] - the HTTP examples with programs of other hands:
# curl, wrk and ab as clients, nginx in front of http_echo and as the server
# that weft-get asks. Then clients of ill will (bench/load_slow,
# bench/load_refused). SECONDS (default 2) is how long a load lasts.
#
# Works on the loopback alone. Every process is started here and ended by its
# number; what is not installed is skipped, and said so. The last line has the
# totals; the status is 1 when a check failed.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-2}
case $seconds in '' | *[!0-9]* | 0) echo "usage: $0 [SECONDS]" >&2; exit 2 ;; esac
PATH=$PATH:/usr/sbin

make -s examples bench-programs >/dev/null || exit 1
examples=build/examples
bench=$(dirname "$(readlink -f $examples/http_echo)")/../bench
scratch=$(mktemp -d) || exit 1
chmod 755 "$scratch" # nginx reads there as somebody else
passed=0 failed=0 skipped=0 ours=''

end_all() {
    for p in $ours; do
        kill -TERM "$p" && wait "$p"
    done 2>/dev/null
    rm -rf "$scratch"
}
trap end_all EXIT
trap 'exit 130' INT TERM

# --- verdicts
ok() { passed=$((passed + 1)); echo "ok   $1"; }
skip() { skipped=$((skipped + 1)); echo "skip $1: $2"; }
fail() { # WHAT REASON [FILE that tells more]
    failed=$((failed + 1))
    echo "FAIL $1: $2"
    [ $# -lt 3 ] || tail -n 20 "$3" | sed 's/^/    /'
}

same() { # WHAT GOT WANT
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2', not '$3'"; fi
}

has_lines() { # WHAT FILE LINE...: it has each of these
    local what=$1 file=$2 line
    shift 2
    for line in "$@"; do
        grep -qxF "$line" "$file" || { fail "$what" "no '$line'" "$file"; return; }
    done
    ok "$what"
}

has() { command -v "$1" >/dev/null; }

# --- processes
now_ms() { echo $(($(date +%s%N) / 1000000)); }
descriptors() { set -- "/proc/$1/fd/"*; echo $#; }

until_true() { # SECONDS COMMAND...: tries it until it succeeds
    local limit=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt $limit ] || return 1
        sleep 0.05
    done
}

says_address() { address=$(sed -n 's/^listening on //p' "$log") && [ -n "$address" ]; }

start() { # PROGRAM [ARGUMENT...]: sets server, address and log
    local name=$1
    shift
    log=$scratch/$name.log
    : >"$log"
    "$examples/$name" 127.0.0.1:0 "$@" 2>>"$log" >&2 &
    server=$!
    ours="$ours $server"
    until_true 5 says_address && return
    fail "$name starts" "it does not say where it listens" "$log"
    exit 1
}

gone() { ! [ -d "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"; }

stop() { # WHAT PID: by SIGTERM, and it has to end with 0
    local status
    kill -TERM "$2" 2>/dev/null
    until_true 8 gone "$2" || kill -KILL "$2"
    wait "$2"
    status=$?
    ours=$(echo " $ours " | sed "s/ $2 / /")
    same "$1" "$status" 0
}

# --- what is sent, and what comes back
crc() { gzip -1 -c <"$1" | tail -c 8 | od -An -N 4 -t x4 --endian=little | tr -d ' '; }

ask() { # ARGUMENT...: curl, with the body in $got; sets status
    : >"$got"
    status=$(curl -sS --max-time 20 -o "$got" -w '%{http_code}' "$@" 2>"$scratch/curl.err") ||
        status="$status, $(cat "$scratch/curl.err")"
}
got=$scratch/got
head -c 1048576 /dev/urandom >"$scratch/mebibyte"
head -c 2097152 /dev/zero >"$scratch/two"
head -c 5000000 /dev/urandom >"$scratch/large"
mebibyte=$(crc "$scratch/mebibyte")

raw() { # TEXT: all that comes back until the end of the connection
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}" || return 1
    printf '%b' "$1" >&3
    timeout 10 cat <&3
    exec 3>&-
}

# --- curl
curl_echo() { # WHAT URL: a server, or a proxy in front of it
    local what=$1 url=$2 n method
    ask "$url/a%20b?x=1"
    same "$what: GET" "$status" 200
    has_lines "$what: the target as it was sent" "$got" method=GET 'target=/a%20b?x=1' body_len=0
    ask --data-binary hello "$url/"
    has_lines "$what: POST" "$got" method=POST body_len=5 body_crc32=3610a686
    ask --data-binary "@$scratch/mebibyte" -H Expect: "$url/"
    has_lines "$what: a mebibyte" "$got" body_len=1048576 "body_crc32=$mebibyte"
    ask --data-binary "@$scratch/mebibyte" -H 'Expect: 100-continue' "$url/"
    has_lines "$what: a mebibyte, after 100-continue" "$got" "body_crc32=$mebibyte"
    ask -T - -H Expect: "$url/stream/x" <"$scratch/mebibyte"
    has_lines "$what: a mebibyte, chunked" "$got" method=PUT "body_crc32=$mebibyte"
    ask --data-binary "@$scratch/two" -H Expect: "$url/stream/"
    same "$what: two mebibytes are too many" "$status" 413
    ask -T - -H Expect: "$url/stream/x" <"$scratch/two"
    same "$what: and so if they are chunked" "$status" 413
    n=$(curl -sS --max-time 20 -I "$url/" | tr -d '\r' | sed -n 's/^Content-Length: //p')
    ask "$url/"
    has_lines "$what: HEAD has a length and no body, and the next request is in step" \
        "$got" method=GET
    [ "${n:-0}" -gt 20 ] || fail "$what: HEAD" "its length is '$n'"
    ask -0 "$url/"
    same "$what: HTTP/1.0" "$status" 200
    for method in DELETE OPTIONS PATCH QUERY TRACE; do
        [ "$what:$method" != nginx:TRACE ] || continue # it refuses that itself
        ask -X $method "$url/"
        has_lines "$what: $method" "$got" method=$method
    done
    n=$(curl -sS --max-time 20 -o /dev/null -w '%{num_connects}\n' "$url/[1-50]" |
        awk '{ n += $1 } END { print n }')
    same "$what: 50 requests on one connection" "$n" 1
    n=$(curl -s --max-time 30 --parallel --parallel-max 20 -o /dev/null \
        -w '%{http_code}\n' "$url/[1-200]" 2>/dev/null | grep -cx 200)
    same "$what: 200 requests side by side" "$n" 200
}

curl_alone() {
    local long
    start http_echo
    curl_echo curl "http://$address"
    ask --request-target '*' -X OPTIONS "http://$address/"
    has_lines 'curl: OPTIONS *' "$got" 'target=*'
    ask --request-target http://there/x "http://$address/"
    has_lines 'curl: a target in absolute form' "$got" target=http://there/x
    ask -H 'Expect: something-else' "http://$address/"
    same 'curl: another expectation' "$status" 417
    long=$(printf 'x%.0s' {1..17000})
    ask "http://$address/$long"
    same 'curl: a target that is too long' "$status" 414
    ask -H "Long: $long" -H "Longer: $long" -H "Longest: $long" -H "Too: $long" "http://$address/"
    same 'curl: a head that is too large' "$status" 431
    ask -H 'Host;' "http://$address/"
    same 'curl: an empty Host' "$status" 400
    if curl -sv -o "$got" --max-time 20 -H 'Expect: 100-continue' --data-binary hello \
        "http://$address/" 2>&1 | grep -q '^< HTTP/1.1 100 Continue'; then
        ok 'curl: it is told to continue'
    else
        fail 'curl: it is told to continue' 'it is not'
    fi
    raw 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >"$got"
    same 'pipelined requests are answered in order' \
        "$(grep -ao '^target=/[123]' "$got" | paste -sd ' ')" 'target=/1 target=/2 target=/3'
    raw 'CONNECT there:80 HTTP/1.1\r\nHost: there:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >"$got"
    if head -n 1 "$got" | grep -q '^HTTP/1.1 [45]'; then
        ok 'CONNECT is refused'
    else
        fail 'CONNECT is refused' 'it is not' "$got"
    fi
    stop 'http_echo ends with 0 after curl' "$server"
}

files() { # of http_server: ranges and conditions, as curl asks for them
    local dir=$scratch/www url tag date
    mkdir "$dir"
    head -c 300000 "$scratch/large" >"$dir/data.bin"
    touch -d '1 hour ago' "$dir/data.bin"
    start http_server 1 "$dir"
    url=http://$address/files/data.bin
    ask "$url"
    same 'files: whole' "$(crc "$got")" "$(crc "$dir/data.bin")"
    ask -r 1000-1999 "$url"
    same 'files: a range is 206' "$status" 206
    head -c 2000 "$dir/data.bin" | tail -c 1000 >"$scratch/part"
    same 'files: of these octets' "$(crc "$got")" "$(crc "$scratch/part")"
    ask -r -500 "$url"
    tail -c 500 "$dir/data.bin" >"$scratch/part"
    same 'files: the last octets' "$status $(crc "$got")" "206 $(crc "$scratch/part")"
    ask -r 400000- "$url"
    same 'files: none of them' "$status" 416
    head -c 100000 "$dir/data.bin" >"$scratch/rest"
    curl -s --max-time 20 -C - -o "$scratch/rest" "$url"
    same 'files: a download is taken up again' "$(crc "$scratch/rest")" "$(crc "$dir/data.bin")"
    tag=$(curl -sI "$url" | tr -d '\r' | sed -n 's/^ETag: //p')
    ask -H "If-None-Match: $tag" "$url"
    same 'files: 304 by its tag' "$status" 304
    date=$(curl -sI "$url" | tr -d '\r' | sed -n 's/^Last-Modified: //p')
    ask -H "If-Modified-Since: $date" "$url"
    same 'files: 304 by its date' "$status" 304
    ask -r 0-9 -H "If-Range: \"another\"" "$url"
    same 'files: all of it, if it is another' "$status" 200
    echo 'not for all' >"$scratch/secret"
    for url in files/../secret files/%2e%2e/secret files/..%2fsecret files//../secret; do
        ask --path-as-is "http://$address/$url"
        same "files: nothing above the directory, $url" "$(grep -c 'not for all' "$got")" 0
    done
    stop 'http_server ends with 0' "$server"
}

# --- loads
wrk_load() { # WHAT URL [ARGUMENT...]
    local what=$1 url=$2 out=$scratch/wrk.out
    shift 2
    wrk -t 1 -d "$seconds" "$@" "$url" >"$out" 2>&1
    if grep -Eq 'Socket errors|Non-2xx' "$out" || ! grep -q '^Requests/sec' "$out"; then
        fail "$what" 'wrk has seen errors' "$out"
    else
        ok "$what: $(sed -n 's/^Requests.sec: *//p' "$out") requests/s"
    fi
}

ab_load() { # WHAT URL REQUESTS [ARGUMENT...]
    local what=$1 url=$2 n=$3 out=$scratch/ab.out
    shift 3
    ab -q -s 10 -n "$n" "$@" "$url" >"$out" 2>&1
    if [ "$(sed -n 's/^Complete requests: *//p' "$out")" = "$n" ] &&
        [ "$(sed -n 's/^Failed requests: *//p' "$out")" = 0 ] &&
        ! grep -q '^Non-2xx' "$out"; then
        ok "$what: $n requests"
    else
        fail "$what" 'ab has seen errors' "$out"
    fi
}

pipelined='init = function(args)
    local r = {}
    for i = 1, 16 do r[i] = wrk.format("GET", "/" .. i) end
    all = table.concat(r)
end
request = function() return all end'
posts='wrk.method = "POST"
wrk.body = string.rep("x", 10000)'

loads() {
    local url
    start http_echo
    url=http://$address/
    if has wrk; then
        echo "$pipelined" >"$scratch/pipelined.lua"
        echo "$posts" >"$scratch/posts.lua"
        wrk_load 'wrk: 256 connections' "$url" -c 256
        wrk_load 'wrk: 64 connections, pipelined by 16' "$url" -c 64 -s "$scratch/pipelined.lua"
        wrk_load 'wrk: 64 connections, bodies' "$url" -c 64 -s "$scratch/posts.lua"
    else
        skip 'http_echo under wrk' 'no wrk here'
    fi
    if has ab; then
        ab_load 'ab: HTTP/1.0' "$url" 2000 -c 32
        ab_load 'ab: HTTP/1.0, kept alive' "$url" 20000 -k -c 64
        same 'ab: all of them are' "$(sed -n 's/^Keep-Alive requests: *//p' "$scratch/ab.out")" 20000
        ab_load 'ab: a mebibyte each' "$url" 50 -k -c 5 -p "$scratch/mebibyte"
        ab_load 'ab: HEAD' "$url" 2000 -k -i -c 32
    else
        skip 'http_echo under ab' 'no ab here'
    fi
    stop 'http_echo ends with 0 after the loads' "$server"
}

# --- nginx
nginx_conf() {
    cat <<END
daemon off;
worker_processes 1;
pid $scratch/nginx.pid;
error_log $scratch/nginx.log warn;
events { worker_connections 1000; }
http {
    log_format conn '\$connection \$connection_requests \$status \$uri';
    access_log $scratch/access.log conn;
    client_body_temp_path $scratch/t1;
    proxy_temp_path $scratch/t2;
    fastcgi_temp_path $scratch/t3;
    uwsgi_temp_path $scratch/t4;
    scgi_temp_path $scratch/t5;
    client_max_body_size 8m;
    keepalive_requests 100000;
    upstream echo { server $address; keepalive 32; }
    server {
        listen 127.0.0.1:$port;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / { proxy_pass http://echo; }
        location /stream/ {
            proxy_pass http://echo;
            proxy_request_buffering off;
            proxy_buffering off;
        }
        location /old/ {
            proxy_pass http://echo;
            proxy_http_version 1.0;
            proxy_set_header Connection close;
        }
        location /files/ { root $scratch; }
        location /chunked/ { alias $scratch/files/; ssi on; ssi_types *; }
        location /once/ { alias $scratch/files/; keepalive_timeout 0; }
        location = /empty { return 204; }
        location = /same { return 304; }
        location = /moved { return 301 http://127.0.0.1:$port/files/a; }
    }
}
END
}

# No program knows of a free port: some are tried.
start_nginx() {
    for port in 28080 28081 38080 38081 48080 48081; do
        nginx_conf >"$scratch/nginx.conf"
        nginx -p "$scratch" -e "$scratch/nginx.log" -c "$scratch/nginx.conf" \
            2>"$scratch/nginx.err" &
        front=$!
        ours="$ours $front"
        if until_true 3 test -s "$scratch/nginx.pid"; then return; fi
        kill "$front" 2>/dev/null
        wait "$front"
    done
    return 1
}

nginx_in_front() {
    local before url=http://127.0.0.1:$port
    curl_echo nginx "$url"
    ask --data-binary "@$scratch/mebibyte" -H Expect: "$url/old/"
    has_lines 'nginx: HTTP/1.0 to the server' "$got" h.connection=close "body_crc32=$mebibyte"
    before=$(descriptors "$server")
    ! has wrk || wrk_load 'nginx, wrk: 64 connections' "$url/" -c 64
    ! has ab || ab_load 'nginx, ab: kept alive' "$url/" 5000 -k -c 32
    ! has ab || ab_load 'nginx, ab: bodies that are not buffered' "$url/stream/" 200 -k -c 8 -p "$scratch/mebibyte"
    if [ "$(descriptors "$server")" -gt "$before" ] || [ "$before" -gt 8 ]; then
        ok 'nginx: keeps its connections to the server'
    else
        fail 'nginx: keeps its connections to the server' 'it has none'
    fi
    if grep -q '\[error\]' "$scratch/nginx.log"; then
        fail 'nginx: has nothing to complain of' 'it has' "$scratch/nginx.log"
    else
        ok 'nginx: has nothing to complain of'
    fi
}

get() { # WHAT WANT ARGUMENT...: the lines of weft-get
    local what=$1 want=$2 lines
    shift 2
    lines=$(timeout 20 "$examples/weft-get" "$@" 2>&1)
    same "$what" "$lines" "$want"
}

in_log() { sed -n "s|^\([0-9]* [0-9]*\) .* $1\$|\1|p" "$scratch/access.log"; }

nginx_behind() {
    local url=http://127.0.0.1:$port large small both
    large=$(crc "$scratch/files/large") small=$(crc "$scratch/files/a")
    both="status=200 len=5000000 crc=$large
status=200 len=6 crc=$small"
    get 'weft-get: two files' "$both" GET "$url/files/large" "$url/files/a"
    same 'weft-get: on one connection' \
        "$(in_log /files/large | cut -d ' ' -f 1) 2" "$(in_log /files/a)"
    get 'weft-get: chunked' "$both" GET "$url/chunked/large" "$url/chunked/a"
    same 'weft-get: on one connection, too' \
        "$(in_log /chunked/large | cut -d ' ' -f 1) 2" "$(in_log /chunked/a)"
    if curl -s -D - "$url/chunked/a" | grep -qi '^transfer-encoding: chunked'; then
        ok 'nginx: sends chunks indeed'
    else
        fail 'nginx: sends chunks indeed' 'it does not'
    fi
    get 'weft-get: each on its own' "$both" GET "$url/once/large" "$url/once/a"
    get 'weft-get: HEAD' 'status=200 len=0 crc=00000000
status=200 len=0 crc=00000000' HEAD "$url/files/large" "$url/files/a"
    get 'weft-get: 204' 'status=204 len=0 crc=00000000' GET "$url/empty"
    get 'weft-get: 304' 'status=304 len=0 crc=00000000' GET "$url/same"
    case $(timeout 20 "$examples/weft-get" GET "$url/moved" "$url/files/none" 2>&1 | cut -d ' ' -f 1 | paste -sd ' ') in
    'status=301 status=404') ok 'weft-get: 301 is not followed, 404 is told' ;;
    *) fail 'weft-get: 301 is not followed, 404 is told' 'no' ;;
    esac
    case $(timeout 20 "$examples/weft-get" POST "$url/" 2>&1) in
    'status=200 len='*) ok 'weft-get: POST through nginx to http_echo' ;;
    *) fail 'weft-get: POST through nginx to http_echo' 'no 200' ;;
    esac
}

nginx_checks() {
    mkdir "$scratch/files"
    mv "$scratch/large" "$scratch/files/large"
    echo hello >"$scratch/files/a"
    start http_echo
    if start_nginx; then
        nginx_in_front
        if [ -x "$examples/weft-get" ]; then nginx_behind; fi
        stop 'nginx ends' "$front"
    else
        fail 'nginx starts' 'it does not' "$scratch/nginx.err"
    fi
    stop 'http_echo ends with 0 after nginx' "$server"
}

# --- ill will
add_up() { # WHAT PROGRAM: its last line has its totals
    local out=$scratch/out p f s
    "$bench/$2" >"$out" 2>&1
    sed '$d' "$out"
    read -r p f s <<<"$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$out")"
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1})) skipped=$((skipped + ${s:-0}))
    echo "$1: ${p:-0} passed, ${f:-1} failed"
}

if has curl; then
    curl_alone
    files
else
    skip 'http_echo and http_server with curl' 'no curl here'
fi
loads
if has nginx && has curl; then
    nginx_checks
else
    skip 'nginx before http_echo, and behind weft-get' 'no nginx or no curl here'
fi
add_up 'refusals that are read' load_refused
add_up 'slow clients' load_slow

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
