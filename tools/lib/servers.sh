# shellcheck shell=bash disable=SC2034
# servers.sh - twinleased in the network of net.sh: configurations, start, stop, questions.
# Settings are plain variables, to be changed before conf_pair or conf_single:
B=${B:-build}
FILTER=${FILTER:-auto}        # filter.mode
THRESHOLD=3        # secs-threshold
SHARE=50           # local-share of the primary
MCLT=30s
LEASE=10m
RELATION=campus
POOL_LOAD=10.64.1.0-10.65.255.255
POOL_DIRECT=10.77.1.0-10.77.8.255
POOL_RELAY=10.78.0.10-10.78.0.200
EXTRA_SERVER=""    # more lines under "server:"
EXTRA_RELATION=""  # more lines of the relationship
SECURITY=(- "authentication: off" "authentication: off") # of it, by server
PRELOAD=()         # environment of the daemon, as LD_PRELOAD=...

server_dir() { echo "$NET_TMP/s$1"; }
server_conf() { echo "$NET_TMP/s$1/twinlease.yaml"; }
server_api() { echo "unix:$NET_TMP/s$1/api.sock"; }

# An empty line would be an empty key: print only what is there.
indented() { [ -z "$2" ] || printf "%s\n" "$1${2//$'\n'/$'\n'$1}"; }

conf_head() { # SERVER
	mkdir -p "$(server_dir "$1")/state"
	cat <<E
server:
  name: s$1.example.net
  interfaces: [eth0]
  state-directory: $(server_dir "$1")/state
  authoritative: true
  log: {level: info, format: text${LOG_LEASES:+, leases: true}}
$(indented '  ' "$EXTRA_SERVER")
filter:
  mode: $FILTER
  pin-directory: $NET_TMP/bpf/s$1
api:
  listen: ["$(server_api "$1")"]
E
}

conf_relation() { # SERVER
	local other=$((3 - $1)) role=primary share=$SHARE
	[ "$1" = 1 ] || { role=secondary; share=$((100 - SHARE)); }
	cat <<E
relationships:
  - name: $RELATION
    role: $role
    mode: ${MODE:-load-balance}
    local: ${NET_LINK_ADDR[$1]}
    partner: ${NET_LINK_ADDR[$other]}
    local-share: $share
    max-client-lead-time: $MCLT
    secs-threshold: $THRESHOLD
$(indented '    ' "${SECURITY[$1]}")
$(indented '    ' "$EXTRA_RELATION")
E
}

conf_scopes() { # [RELATIONSHIP]
	local line=""
	[ -z "${1:-}" ] || line="    relationship: $1"
	cat <<E
scopes:
  - subnet: 10.64.0.0/13
    name: load
$line
    ranges: [$POOL_LOAD]
    lease-time: $LEASE
    options: {routers: [10.64.0.1], domain-name-servers: [10.0.0.53]}
  - subnet: 10.77.0.0/16
    name: segment
$line
    ranges: [$POOL_DIRECT]
    lease-time: $LEASE
    options: {routers: [10.77.0.5], domain-name-servers: [10.0.0.53]}
  - subnet: 10.78.0.0/24
    name: behind the relay
$line
    ranges: [$POOL_RELAY]
    lease-time: $LEASE
    options: {routers: [10.78.0.1], domain-name-servers: [10.0.0.53]}
options: {domain-name: example.net}
E
}

# Blank lines of settings that are not used are dropped.
conf_single() { mkdir -p "$(server_dir 1)"; { conf_head 1; conf_scopes; } | grep -v '^ *$' >"$(server_conf 1)"; }
conf_pair() {
	local i
	for i in 1 2; do
		mkdir -p "$(server_dir $i)"
		{ conf_head $i; conf_relation $i; conf_scopes "$RELATION"; } | grep -v '^ *$' >"$(server_conf $i)"
	done
}

server_start() { net_spawn "s$1" "s$1" env "${PRELOAD[@]}" "$B/twinleased" -c "$(server_conf "$1")"; }
server_stop() { net_stop "s$1"; }
server_kill() { net_stop "s$1" KILL; }
server_restart() { server_start "$1" && server_wait "$1"; }

ctl() { local i=$1; shift; "$B/twinctl" --server "$(server_api "$i")" "$@"; } # SERVER ARGUMENT...
server_answers() { ctl "$1" status; }
server_wait() {
	wait_for 15 server_answers "$1" && return 0
	net_say "server $1 does not answer; the end of its log:"
	tail -n 20 "$NET_TMP/s$1.log" >&2
	return 1
}

relation_field() { ctl "$1" relationship show "$RELATION" --json | jq -r --arg f "$2" '.[$f]'; }
relation_is() { [ "$(relation_field "$1" state)" = "$2" ]; }
pair_is() { relation_is 1 "$1" && relation_is 2 "$1"; }
pair_wait() { # STATE [SECONDS]
	wait_for "${2:-30}" pair_is "$1" && return 0
	net_say "no $1: server 1 is $(relation_field 1 state), server 2 is $(relation_field 2 state)"
	tail -n 15 "$NET_TMP/s1.log" "$NET_TMP/s2.log" >&2
	return 1
}
pair_up() {
	! declare -F before_pair >/dev/null || before_pair
	server_start 1 && server_start 2 && server_wait 1 && server_wait 2 && pair_wait NORMAL &&
		wait_for 30 pair_quiet
}
# Nothing waits to be told to the partner, and both have addresses to give.
pair_quiet() {
	local i
	for i in 1 2; do
		[ "$(relation_field $i pending-updates)" = 0 ] && [ "$(relation_field $i unacked-updates)" = 0 ] || return 1
	done
}

slow_disk() { PRELOAD=("LD_PRELOAD=$(realpath "$B/tests/lib/preload_slowsync.so")" "SLOWSYNC_US=$1"); } # MICROSECONDS

# Active leases as "address hardware-address ends", one per line, sorted.
leases_of() {
	ctl "$1" lease list --json |
		jq -r '.[] | select(.state == "active") |
			[.address, (."hardware-address" // "-"), .ends] | @tsv' | sort
}
# All leases with history in the fields that both servers must agree on.
leases_common() {
	ctl "$1" lease list --json |
		jq -r '.[] | [.address, .state, (."client-id" // "-"), (."hardware-address" // "-"), .ends] | @tsv' | sort
}
leases_equal() { cmp -s <(leases_common 1) <(leases_common 2); }

bench() { net_in l "$B/twinbench" --giaddr $NET_GIADDR "$@"; }
bench_both() { bench --server "${NET_SERVER_ADDR[1]}" --server "${NET_SERVER_ADDR[2]}" "$@"; }
bench_direct() { net_in c "$B/twinbench" --interface eth0 "$@"; }

# --- real clients ---------------------------------------------------------------------------------

# Both clients call this script; it sets the address and writes a line per event.
client_script() {
	cat >"$NET_TMP/client-script" <<'E'
#!/bin/sh
# dhclient: $reason, $new_ip_address; udhcpc: $1, $ip
if [ -n "$reason" ]; then
	case $reason in
	PREINIT) ip link set "$interface" up ;;
	BOUND | RENEW | REBIND | REBOOT)
		ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface" 2>/dev/null
		echo "$reason $new_ip_address $new_dhcp_server_identifier" >>"$STATE" ;;
	esac
else
	case $1 in
	bound | renew)
		ip addr replace "$ip/$mask" dev "$interface" 2>/dev/null
		echo "$1 $ip $serverid" >>"$STATE" ;;
	nak) echo "nak" >>"$STATE" ;;
	esac
fi
exit 0
E
	chmod +x "$NET_TMP/client-script"
}

start_dhclient() { # NAME NAMESPACE
	[ -e "$NET_TMP/client-script" ] || client_script
	cat >"$NET_TMP/$1.conf" <<'E'
timeout 20; retry 1; initial-interval 1; backoff-cutoff 2; select-timeout 0;
send dhcp-client-identifier = hardware;
request subnet-mask, routers, domain-name-servers;
E
	: >"$NET_TMP/$1.leases"
	net_spawn "$1" "$2" dhclient -4 -d -cf "$NET_TMP/$1.conf" -lf "$NET_TMP/$1.leases" \
		-pf "$NET_TMP/$1.pid" -sf "$NET_TMP/client-script" -e "STATE=$NET_TMP/$1.state" eth0
}

start_udhcpc() { # NAME NAMESPACE
	[ -e "$NET_TMP/client-script" ] || client_script
	net_spawn "$1" "$2" env STATE="$NET_TMP/$1.state" udhcpc -f -t 10 -T 1 -A 1 -i eth0 \
		-s "$NET_TMP/client-script"
}

client_events() { grep -c . "$NET_TMP/$1.state" 2>/dev/null || true; }
client_has() { grep -qi "^$2 " "$NET_TMP/$1.state" 2>/dev/null; } # NAME EVENT
client_address() { awk 'NF > 1 { a = $2 } END { print a }' "$NET_TMP/$1.state" 2>/dev/null; }
client_more_than() { [ "$(client_events "$1")" -gt "$2" ]; } # NAME COUNT
