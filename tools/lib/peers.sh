# shellcheck shell=bash disable=SC2034,SC2153
# peers.sh - servers of other makes in the network of net.sh, to be measured beside ours: ISC dhcpd
# and Kea, alone and as a pair. Called by tools/bench; they run as s1 and s2, as ours do.
# Settings: FIRST, MIDDLE (begins the second half), LAST of the pool; POOL, its size; LEASE_SEC. The
# network of the clients is that of scale.sh.
#
# Both are set up as their own documents say, but for what would make figures incomparable:
# no ping before an OFFER, and ISC's cache of recent leases is off, so that a client that
# returns causes a write, as everywhere else here.

PEER_PACKAGES="isc-dhcp-server kea-dhcp4-server"

peers_install() { # LOG
	local missing
	# shellcheck disable=SC2046,SC2086
	mapfile -t missing < <(missing_of $PEER_PACKAGES)
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || { echo "not Debian: install by hand: ${missing[*]}" >&2; return 1; }
	echo "installing: ${missing[*]}" >&2
	apt-get -q update >"$1" 2>&1
	apt_install "${missing[@]}" >>"$1" 2>&1 || { tail -n 5 "$1" >&2; return 1; }
}

have_isc() { command -v dhcpd >/dev/null; }
have_kea() { command -v kea-dhcp4 >/dev/null; }
have_kea_pair() { have_kea && [ -n "$(kea_hooks)" ]; }
version_isc() { dhcpd --version 2>&1 | sed 's/^isc-dhcpd-//; q'; }
version_kea() { kea-dhcp4 -v 2>/dev/null | head -n 1; }

# --- ISC dhcpd ------------------------------------------------------------------------------------

isc_conf() { # SERVER [FAILOVER-NAME]
	local role=primary primary="mclt $LEASE_SEC; split 128;" peer=""
	[ "$1" = 1 ] || role=secondary primary=""
	if [ -n "${2:-}" ]; then
		peer="failover peer \"$2\";"
		echo "failover peer \"$2\" { $role; $primary"
		echo "  address ${NET_LINK_ADDR[$1]}; port 647;"
		echo "  peer address ${NET_LINK_ADDR[$((3 - $1))]}; peer port 647;"
		echo "  max-response-delay 60; max-unacked-updates 10; load balance max seconds 3; }"
	fi
	cat <<E
authoritative; ping-check false; ddns-update-style none; dhcp-cache-threshold 0;
default-lease-time $LEASE_SEC; max-lease-time $LEASE_SEC;
subnet 10.77.0.0 netmask 255.255.0.0 { }
subnet ${SCALE_NET%/*} netmask 255.0.0.0 {
  option routers 11.0.0.1; option domain-name-servers 10.0.0.53; option domain-name "example.net";
  pool { $peer range $FIRST $LAST; }
}
E
}

isc_start() { # SERVER [FAILOVER-NAME]
	mkdir -p "$(server_dir "$1")"
	isc_conf "$@" >"$(server_dir "$1")/dhcpd.conf"
	: >"$(server_dir "$1")/dhcpd.leases"
	# started with -q it would not say what is wrong
	dhcpd -4 -t -cf "$(server_dir "$1")/dhcpd.conf" >>"$NET_TMP/s$1.log" 2>&1 || return 1
	net_spawn "s$1" "s$1" dhcpd -4 -f -q --no-pid -cf "$(server_dir "$1")/dhcpd.conf" \
		-lf "$(server_dir "$1")/dhcpd.leases" eth0
}

# Its failover state is in the lease file, written at every change.
isc_state() { awk '/^ *my state/ { m = $3 } /^ *partner state/ { p = $3 } END { print m "/" p }' \
	"$(server_dir "$1")/dhcpd.leases"; }
isc_pair_normal() { [ "$(isc_state 1)" = normal/normal ] && [ "$(isc_state 2)" = normal/normal ]; }
# The primary hands over half of the free addresses, one update each.
isc_pair_balanced() {
	[ "$(grep -c '^  binding state backup' "$(server_dir 2)/dhcpd.leases")" -ge $((POOL * 45 / 100)) ]
}

start_isc() { isc_start 1 && wait_for 20 answers; }
start_isc_pair() {
	isc_start 1 bench && isc_start 2 bench && wait_for 60 isc_pair_normal &&
		wait_for $((30 + POOL / 1000)) isc_pair_balanced
}

# --- Kea ------------------------------------------------------------------------------------------

kea_hooks() {
	local d
	for d in /usr/lib/*/kea/hooks /usr/lib/kea/hooks /usr/local/lib/kea/hooks; do
		[ ! -e "$d/libdhcp_ha.so" ] || { echo "$d"; return; }
	done
}

# Load balancing with lease updates: an ACK waits for the partner's answer, which is Kea's default.
kea_ha() { # SERVER
	cat <<E
  "hooks-libraries": [ { "library": "$(kea_hooks)/libdhcp_lease_cmds.so" },
    { "library": "$(kea_hooks)/libdhcp_ha.so", "parameters": { "high-availability": [ {
      "this-server-name": "s$1", "mode": "load-balancing", "heartbeat-delay": 1000,
      "multi-threading": { "enable-multi-threading": true, "http-dedicated-listener": true,
        "http-listener-threads": 2, "http-client-threads": 2 },
      "peers": [ { "name": "s1", "url": "http://${NET_LINK_ADDR[1]}:8000/", "role": "primary" },
        { "name": "s2", "url": "http://${NET_LINK_ADDR[2]}:8000/", "role": "secondary" } ] } ] } } ],
  "multi-threading": { "enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 64 },
E
}

kea_conf() { # SERVER [ha]
	local pools='{ "pool": "'"$FIRST - $LAST"'" }'
	[ -z "${2:-}" ] || pools='{ "pool": "'"$FIRST - $(address_before "$MIDDLE")"'", "client-class": "HA_s1" },
    { "pool": "'"$MIDDLE - $LAST"'", "client-class": "HA_s2" }'
	cat <<E
{ "Dhcp4": { "interfaces-config": { "interfaces": [ "eth0" ], "dhcp-socket-type": "udp" },
$([ -z "${2:-}" ] || kea_ha "$1")
  "lease-database": { "type": "memfile", "persist": true, "name": "$(server_dir "$1")/kea.csv", "lfc-interval": 0 },
  "valid-lifetime": $LEASE_SEC, "authoritative": true,
  "option-data": [ { "name": "domain-name-servers", "data": "10.0.0.53" },
    { "name": "domain-name", "data": "example.net" } ],
  "subnet4": [ { "id": 1, "subnet": "$SCALE_NET", "pools": [ $pools ],
    "option-data": [ { "name": "routers", "data": "11.0.0.1" } ] } ],
  "loggers": [ { "name": "kea-dhcp4", "severity": "WARN", "output_options": [ { "output": "stdout" } ] } ] } }
E
}

# Newer ones accept files only in folders that the environment names, closed to others.
kea_start() { # SERVER [ha]
	local d
	d=$(server_dir "$1")
	mkdir -p "$d" && chmod 750 "$d"
	kea_conf "$@" >"$d/kea.conf"
	net_spawn "s$1" "s$1" env KEA_PIDFILE_DIR="$d" KEA_LOCKFILE_DIR="$d" KEA_DHCP_DATA_DIR="$d" \
		KEA_LOG_FILE_DIR="$d" KEA_CONTROL_SOCKET_DIR="$d" kea-dhcp4 -c "$d/kea.conf"
}

kea_state() {
	net_in "s$1" curl -s -m 1 -H 'Content-Type: application/json' \
		-d '{"command": "status-get", "service": ["dhcp4"]}' "http://${NET_LINK_ADDR[$1]}:8000/" |
		jq -r 'if type == "array" then .[0] else . end |
			.arguments."high-availability"[0]."ha-servers" | .local.state + "/" + .remote."last-state"'
}
kea_pair_balancing() {
	[ "$(kea_state 1)" = load-balancing/load-balancing ] && [ "$(kea_state 2)" = load-balancing/load-balancing ]
}

start_kea() { kea_start 1 && wait_for 20 answers; }
start_kea_pair() { kea_start 1 ha && kea_start 2 ha && wait_for 60 kea_pair_balancing; }
