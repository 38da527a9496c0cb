#!/bin/sh
# Sockets and programs that others wrote, at each other's end: socat, netcat, curl; ten
# thousand connections; two hosts with loss, resets, delay and disorder between them.
# `inside` is this script again, as the first of the two hosts.
. tests/lib.sh
SELF=$0
LOG=$OUT/peers.log

# start NAME COMMAND...: in the background; its first line, an address, is then in $at.
started=
start() {
    start_name=$1
    shift
    rm -f "$OUT/$start_name.at"
    "$@" >"$OUT/$start_name.at" 2>"$OUT/$start_name.err" &
    started="$started $!"
    last=$!
    tries=0
    until [ -s "$OUT/$start_name.at" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            echo "not ok $start_name starts"
            return 1
        fi
        sleep 0.1
    done
    at=$(head -n 1 "$OUT/$start_name.at")
}

# Whatever was started ends with this script.
stop_all() {
    for process in $started; do kill "$process" 2>/dev/null; done
    wait
    started=
    rm -rf "$SCRATCH"
}
SCRATCH=$(mktemp -d)
trap stop_all EXIT
trap 'exit 1' INT TERM

# same NAME: what came back is what was sent.
same() { try "$1" cmp "$OUT/sent" "$OUT/came"; }

# eventually COMMAND...: within 20 seconds.
eventually() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -gt 200 ] && return 1
        sleep 0.1
    done
}

with_socat() {
    if ! have socat; then
        echo "skip socat: not installed (Debian: socat)"
        return
    fi
    # They send all, close their half, and get all back.
    start echo_tcp "$PEER" echo 127.0.0.1:0 || return
    timeout 60 socat -t 30 - "TCP4:$at" <"$OUT/sent" >"$OUT/came" 2>"$LOG"
    same "socat: a stream over TCP comes back after a half-close"
    start echo_unix "$PEER" echo "unix:$SCRATCH/echo" || return
    timeout 60 socat -t 30 - "UNIX-CONNECT:$SCRATCH/echo" <"$OUT/sent" >"$OUT/came" 2>"$LOG"
    same "socat: a stream over a Unix socket"
    start echo_abstract "$PEER" echo "unix:@vts-peers-$$" || return
    timeout 60 socat -t 30 - "ABSTRACT-CONNECT:vts-peers-$$" <"$OUT/sent" >"$OUT/came" 2>"$LOG"
    same "socat: a stream over an abstract socket"
    start echo_udp "$PEER" echo-datagrams 127.0.0.1:0 || return
    echo "one datagram" >"$OUT/expected"
    timeout 60 socat -t 5 - "UDP4:$at" <"$OUT/expected" >"$OUT/came" 2>"$LOG"
    try "socat: a datagram over UDP" cmp "$OUT/expected" "$OUT/came"
    start echo_unix_datagrams "$PEER" echo-datagrams "unix:$SCRATCH/datagrams" || return
    timeout 60 socat -t 5 - "UNIX-SENDTO:$SCRATCH/datagrams,bind=$SCRATCH/mine" \
        <"$OUT/expected" >"$OUT/came" 2>"$LOG"
    try "socat: a datagram over a Unix socket" cmp "$OUT/expected" "$OUT/came"
    # We send and close our half; they echo.
    socat "UNIX-LISTEN:$SCRATCH/socat,fork" EXEC:cat 2>"$LOG" &
    started="$started $!"
    eventually test -S "$SCRATCH/socat"
    try "socat: echoes what we send over a Unix socket" \
        timeout 60 "$PEER" exchange "unix:$SCRATCH/socat" 1000000
    rm -f "$OUT/socat.err"
    socat -d -d TCP4-LISTEN:0,bind=127.0.0.1,fork EXEC:cat 2>"$OUT/socat.err" &
    started="$started $!"
    eventually grep -q 'listening on' "$OUT/socat.err"
    at=$(sed -n 's/.*listening on AF=2 //p' "$OUT/socat.err" | head -n 1)
    try "socat: echoes what we send over TCP" timeout 60 "$PEER" exchange "$at" 1000000
}

with_netcat() {
    if ! have nc || ! nc -h 2>&1 | grep -q -e '-N'; then
        echo "skip netcat: not installed (Debian: netcat-openbsd)"
        return
    fi
    start echo_tcp6 "$PEER" echo '[::1]:0'
    if [ -n "${at:-}" ] && [ -s "$OUT/echo_tcp6.at" ]; then
        port=${at##*:}
        timeout 60 nc -6 -N ::1 "$port" <"$OUT/sent" >"$OUT/came" 2>"$LOG"
        same "netcat: a stream over IPv6 comes back after a half-close"
    fi
    start echo_unix_nc "$PEER" echo "unix:$SCRATCH/nc" || return
    timeout 60 nc -U -N "$SCRATCH/nc" <"$OUT/sent" >"$OUT/came" 2>"$LOG"
    same "netcat: a stream over a Unix socket"
    start echo_udp_nc "$PEER" echo-datagrams 127.0.0.1:0 || return
    echo "one datagram" >"$OUT/expected"
    timeout 60 nc -u -w 2 127.0.0.1 "${at##*:}" <"$OUT/expected" >"$OUT/came" 2>"$LOG"
    try "netcat: a datagram over UDP" cmp "$OUT/expected" "$OUT/came"
}

with_curl() {
    if ! have curl; then
        echo "skip curl: not installed (Debian: curl)"
        return
    fi
    start http "$OUT/socket_http" 127.0.0.1:0 || return
    echo hello >"$OUT/expected"
    timeout 60 curl -s --noproxy '*' "http://$at/" >"$OUT/came" 2>"$LOG"
    try "curl: one answer" cmp "$OUT/expected" "$OUT/came"
    timeout 60 curl -s --noproxy '*' --parallel --parallel-max 20 "http://$at/[1-100]" \
        >"$OUT/came" 2>"$LOG"
    try "curl: a hundred answers, twenty at a time" test "$(grep -c hello "$OUT/came")" = 100
}

# served COUNT: both ends need as many descriptors, and some more.
served() {
    limit=$(ulimit -n)
    if [ "$limit" != unlimited ] && [ "$limit" -lt 10100 ]; then
        ulimit -n 20000 2>/dev/null || {
            echo "skip 10000 connections on one loop: the limit of descriptors is $limit"
            return
        }
    fi
    start crowd "$PEER" echo 127.0.0.1:0 || return
    try "10000 connections on one loop, all served" timeout 200 "$PEER" crowd "$at" 10000
}

# whole_or_failed NAME ADDRESS BYTES TIMES: streams that arrive, or end with an error; what
# arrived wrong ends with 3. At least one arrives: what always fails shows nothing.
whole_or_failed() {
    whole=0 failed=0 wrong=0
    for _ in $(seq "$4"); do
        timeout 100 "$PEER" exchange "$2" "$3" >"$OUT/exchange.log" 2>&1
        case $? in
        0) whole=$((whole + 1)) ;;
        1) failed=$((failed + 1)) && cat "$OUT/exchange.log" >>"$OUT/failed.log" ;;
        *) wrong=$((wrong + 1)) && cat "$OUT/exchange.log" ;;
        esac
    done
    try "$1" test "$wrong" = 0 -a "$whole" -gt 0
    echo "# $whole whole, $failed failed"
}

# On the other host. What is started there is to be nsenter itself, to be ended by its number.
between() { nsenter -t "$other" -n "$@"; }

# The faults of the way to the other host; those of port 7000 are also answered by resets.
faults='table inet faults {
    chain input {
        type filter hook input priority 0;
        tcp dport 7000 tcp flags & (syn | fin | rst) == 0 goto broken
        numgen random mod 100 < 5 drop
    }
    chain broken {
        numgen random mod 1000 < 15 reject with tcp reset
        numgen random mod 100 < 5 drop
    }
}'

# As the first host, in a namespace of its own.
inside() {
    ip link set lo up || exit 1
    unshare -n sleep 1000 &
    other=$!
    started="$started $other"
    sleep 0.5
    ip link add vts0 type veth peer name vts1 netns "$other" 2>"$LOG" || {
        echo "skip two hosts: $(head -n 1 "$LOG")"
        return
    }
    ip addr add 10.77.0.1/24 dev vts0
    ip link set vts0 up
    between ip addr add 10.77.0.2/24 dev vts1
    between ip link set lo up
    between ip link set vts1 up
    start two_whole nsenter -t "$other" -n "$PEER" echo 10.77.0.2:7001 || return
    try "two hosts: a stream, without faults" timeout 60 "$PEER" exchange 10.77.0.2:7001 1000000
    with_loss
    with_delay
}

with_loss() {
    if ! have nft; then
        echo "skip two hosts with loss: nft is not installed (Debian: nftables)"
        return
    fi
    if ! echo "$faults" | between nft -f - 2>"$LOG"; then
        echo "skip two hosts with loss: $(head -n 1 "$LOG")"
        return
    fi
    start two_reset nsenter -t "$other" -n "$PEER" echo 10.77.0.2:7000 || return
    start two_datagrams nsenter -t "$other" -n "$PEER" echo-datagrams 10.77.0.2:7002 || return
    : >"$OUT/failed.log"
    whole_or_failed "two hosts, 5 % lost: streams" 10.77.0.2:7001 200000 3
    whole_or_failed "two hosts, 5 % lost, resets: streams" 10.77.0.2:7000 200000 15
    try "two hosts, resets: some streams were told" grep -q -i reset "$OUT/failed.log"
    timeout 60 "$PEER" ping 10.77.0.2:7002 500 >"$OUT/ping.log" 2>&1
    try "two hosts, 5 % lost: datagrams, none wrong" test $? = 0
    sed 's/^/# /' "$OUT/ping.log"
    between nft delete table inet faults
}

# Through a third program between the two.
with_delay() {
    start slow "$OUT/socket_forward" 10.77.0.1:0 10.77.0.2:7001 50 || return
    try "two hosts, 50 ms: a stream" timeout 100 "$PEER" exchange "$at" 500000
    start two_late nsenter -t "$other" -n "$PEER" echo-datagrams 10.77.0.2:7003 || return
    start slow_datagrams "$OUT/socket_forward" 10.77.0.1:0 10.77.0.2:7003 50 || return
    timeout 60 "$PEER" ping "$at" 500 >"$OUT/ping.log" 2>&1
    try "two hosts, 50 ms: datagrams, none wrong" test $? = 0
    sed 's/^/# /' "$OUT/ping.log"
    try "two hosts, 50 ms: some datagrams overtake others" \
        grep -q ', [1-9][0-9]* out of order' "$OUT/ping.log"
}

two_hosts() {
    for tool in ip nsenter unshare; do
        have $tool || { echo "skip two hosts: no $tool (Debian: iproute2)" && return; }
    done
    if ! unshare -rn true 2>"$LOG"; then
        echo "skip two hosts: $(head -n 1 "$LOG")"
        return
    fi
    unshare -rn sh "$SELF" inside
}

PEER=$OUT/socket_peer
if [ "${1:-}" = inside ]; then
    inside
    exit 0
fi
for program in socket_peer socket_http socket_forward; do
    # shellcheck disable=SC2086
    try "$program builds" $CC -std=c11 -O1 -g $WARN_C -Werror -I. "tests/$program.c" \
        -o "$OUT/$program" -pthread || exit 1
done
head -c 1000000 /dev/urandom >"$OUT/sent"
with_socat
with_netcat
with_curl
served
two_hosts
