# shellcheck shell=bash disable=SC2034,SC2153
# scale.sh - large configurations in the network of net.sh: 16 million addresses in one scope, ten
# thousand scopes. Called by tools/bench, tools/bench-scale and tests/netns/test_scale.
#
# The network 11.0.0.0/8 is behind the relay that twinbench plays, which has all of its addresses.
SCALE_NET=11.0.0.0/8
SCALE_FIRST=11.0.0.16
SCOPES=${SCOPES:-10000}

scale_net() {
	NET_GIADDR=11.0.0.1
	net_ip l route add local $SCALE_NET dev lo
	net_ip s1 route add $SCALE_NET via 10.77.0.6
	net_ip s2 route add $SCALE_NET via 10.77.0.6
}

# --- configurations -------------------------------------------------------------------------------

scale_wide() { # RANGE RELATIONSHIP-LINE
	printf '  - subnet: %s\n    name: load\n%s    ranges: [%s]\n    lease-time: %s\n    options: {routers: [11.0.0.1]}\n' \
		"$SCALE_NET" "$2" "$1" "$LEASE"
}

# The first octets of scope number N: a /24 each.
scale_octets() { echo "11.$(($1 / 256)).$(($1 % 256))"; }

scale_many() { # RELATIONSHIP-LINE
	local i a
	for ((i = 0; i < SCOPES; i++)); do
		a=11.$((i / 256)).$((i % 256))
		printf '  - subnet: %s.0/24\n    name: net-%d\n%s    ranges: [%s.1-%s.254]\n    options: {routers: [%s.1]}\n' \
			"$a" $i "$1" "$a" "$a" "$a"
	done
}

scale_scopes() { # SHAPE RELATIONSHIP-LINE
	echo "scopes:"
	case $1 in
	million) scale_wide 11.0.0.16-11.16.0.15 "$2" ;;
	pool) scale_wide "$FIRST-$LAST" "$2" ;;
	addresses) scale_wide 11.0.0.1-11.255.255.254 "$2" ;;
	scopes) scale_many "$2" ;;
	esac
	echo "options: {domain-name: example.net, domain-name-servers: [10.0.0.53]}"
}

# Leaves whom clients ask in TARGETS.
scale_conf() { # single|pair SHAPE
	local i line=""
	TARGETS=(--server "${NET_SERVER_ADDR[1]}")
	[ "$1" = single ] || line="    relationship: $RELATION"$'\n' TARGETS+=(--server "${NET_SERVER_ADDR[2]}")
	for i in 1 2; do
		mkdir -p "$(server_dir $i)"
		{
			conf_head $i
			[ "$1" = single ] || conf_relation $i
			scale_scopes "$2" "$line"
		} | grep -v '^ *$' >"$(server_conf $i)"
	done
}

# --- what comes of them ---------------------------------------------------------------------------

# Relays by which clients come: the first of the addresses or scopes, one in the middle, the last.
scale_relays() { # SHAPE
	case $1 in
	scopes) echo "$(scale_octets 0).1 $(scale_octets $((SCOPES / 2))).1 $(scale_octets $((SCOPES - 1))).1" ;;
	million | addresses) echo "11.0.0.1 11.128.0.1 11.255.255.254" ;;
	esac
}

scale_served() { # RELAY CLIENTS: how many of them got a lease
	NET_GIADDR=$1 bench "${TARGETS[@]}" --clients "$2" --seed "$1" --phases dora --secs 4 | jq '.phases[0].done'
}

# One client asks 40 times a second from before the server is there.
scale_asks() {
	local json
	json=$(bench "${TARGETS[@]}" --clients 1 --seed "$RANDOM$RANDOM" --phases dora --secs 4 --tries 16 --timeout 25 2>/dev/null) || return 1
	S_now=$(now_ms)
	S_ack=$(jq 'if .phases[0].done == 1 then .phases[0].ack_ms.max | round else error end' <<<"$json" 2>/dev/null)
}

# Starts server 1, and leaves in S_first how many milliseconds later the first OFFER came.
scale_start() {
	local t
	t=$(now_ms)
	server_start 1
	wait_for 60 scale_asks || return 1
	S_first=$((S_now - S_ack - t))
}

scale_rss() { awk '/^RssAnon/ { print $2 * 1024 }' "/proc/${NET_PID[s$1]}/status"; } # SERVER
# S_scopes, S_total, S_active, S_backup: scopes, and addresses in all of them.
scale_count() { # SERVER
	read -r S_scopes S_total S_active S_backup < <(ctl "$1" scope list --json |
		jq -r '[length, ([.[].addresses] | map(.total), map(.active), map(.backup) | add)] | @tsv')
}

# The secondary has its half, nearly, and nothing is left to be told.
scale_shared() {
	pair_is NORMAL && pair_quiet && scale_count 2 && [ "$S_backup" -gt $((S_total / 100 * 45)) ]
}
