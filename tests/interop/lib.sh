# shellcheck shell=bash disable=SC2034
# lib.sh - one twinleased beside one stock ISC dhcpd. A test is called with the role that ours plays
# (primary or secondary, default primary) and sources this file; the network, the checks and our
# server come from tests/netns/lib.sh. Server 1 is always the primary.
#
# Every test ends with finish_interop: both in NORMAL, one database, nobody died, each message of
# ours decoded by Wireshark. What servers and link did is kept in build/log/interop-*.

INTEROP_ROLE=${1:-primary}
INTEROP_NAME="$(basename "$0") $*" INTEROP_NAME=${INTEROP_NAME#test_} INTEROP_NAME=${INTEROP_NAME// /-}
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"
. tests/interop/dhcpd.sh
. tests/interop/clients.sh
case $INTEROP_ROLE in
primary) US=1 ISC=2 ;;
secondary) US=2 ISC=1 ;;
*) echo "the role of ours is primary or secondary, not $INTEROP_ROLE"; exit 2 ;;
esac

FILTER=${INTEROP_FILTER:-off}
DIALECT=${DIALECT:-auto}
CONTACT=6 # seconds: the least that an ISC is asked to keep
POOL_LOAD=10.64.1.0-10.64.1.255
POOL_DIRECT=10.77.1.0-10.77.1.63
POOL_SIZE=320 # of both
MCLT_SEC=30 LEASE_SEC=600

# Eight of these run at once on two cores: look less often than net.sh does.
wait_for() { # SECONDS COMMAND...
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.25
	done
}

start_interop() {
	need_command dhcpd omshell
	start_network
	client_ledger
	capture_start "$US" || echo "the link is not recorded"
}

# --- our server -----------------------------------------------------------------------------------

# Only what both sides know: an address that one does not know is refused.
conf_scopes() {
	cat <<C
scopes:
  - subnet: 10.64.0.0/13
    relationship: $1
    ranges: [$POOL_LOAD]
    lease-time: $LEASE
    options: {routers: [10.64.0.1]}
  - subnet: 10.77.0.0/16
    relationship: $1
    ranges: [$POOL_DIRECT]
    lease-time: $LEASE
    options: {routers: [10.77.0.5]}
C
}

our_conf() { # from the settings above
	MCLT=${MCLT_SEC}s LEASE=${LEASE_SEC}s THRESHOLD=$((DHCPD_SECS + 1))
	EXTRA_RELATION="dialect: $DIALECT
contact-timeout: ${CONTACT}s
max-unacked-updates: $WINDOW${OUR_EXTRA:+
$OUR_EXTRA}"
	mkdir -p "$(server_dir $US)"
	{ conf_head $US; conf_relation $US; conf_scopes "$RELATION"; } | grep -v '^ *$' >"$(server_conf $US)"
}
our_run() { server_start $US; }
our_start() { our_conf && our_run && server_wait $US; }
our_stop() { server_stop $US; }
our_kill() { server_kill $US; }
our_forget() { rm -rf "$(server_dir $US)/state"; }
our_state() { relation_field $US state; }
our_state_is() { [ "$(our_state)" = "$1" ]; }
our_sees() { [ "$(relation_field $US partner-state)" = "$1" ]; }
our_link() { [ "$(relation_field $US connected)" = true ]; }
our_ctl() { ctl $US "$@"; }
our_partner_down() { our_ctl relationship partner-down "$RELATION" >/dev/null; }
our_shutdown() { our_ctl relationship shutdown "$RELATION" >/dev/null; }

# --- both -----------------------------------------------------------------------------------------

states() { echo "ours $(our_state 2>/dev/null) (sees $(relation_field $US partner-state 2>/dev/null)), ISC $(dhcpd_state) (sees $(dhcpd_partner))"; }
both_normal() { our_state_is NORMAL && our_link && dhcpd_is normal && [ "$(dhcpd_partner)" = normal ]; }
normal_wait() { # [SECONDS]
	wait_for "${1:-90}" both_normal && return 0
	echo "      no NORMAL: $(states)"
	return 1
}
nothing_owed() { [ "$(relation_field $US pending-updates)" = 0 ] && [ "$(relation_field $US unacked-updates)" = 0 ]; }

start_pair_interop() { # both empty or as they are, until NORMAL
	dhcpd_start && our_start && normal_wait "${1:-90}" && wait_for 30 pool_split
}
# Each side has addresses to give: at least a third of what nobody has.
pool_split() {
	ours_all | awk '$2 == "backup" { b++ } $2 == "free" { f++ }
		$2 == "active" || $2 == "abandoned" { used++ }
		END { f += '"$POOL_SIZE"' - f - b - used; exit !(3 * b >= f + b && 3 * f >= f + b) }'
}
# The wire between the servers: silence in both directions, no FIN. Clients are served on.
link_cut() { net_cable 1 eth1 down; }
link_mend() { net_cable 1 eth1 up; }

# --- the two databases ----------------------------------------------------------------------------
# Lines of: address state hardware-address has-client-id ends; one per address with history.

ours_all() {
	our_ctl lease list --all --json | jq -r '.[] |
		[.address, .state, (."hardware-address" // "-"), (if ."client-id" then "id" else "-" end),
		 (if .ends then (.ends | fromdate) else 0 end)] | join(" ")' | sort
}
# Expired, released and reset ones are on their way to be free; free and backup ones have no client.
only_leased() { awk '$2 == "active" { print } $2 == "abandoned" { print $1, $2, "-", "-", 0 }'; }
only_backup() { awk '$2 == "backup" { print $1 }'; }

# differences OURS ISC - what the two do not agree about; ends may differ by ENDS_DIFFER seconds
ENDS_DIFFER=1
differences() {
	join -a 1 -a 2 -e none -o 0,1.2,1.3,1.4,1.5,2.2,2.3,2.4,2.5 "$1" "$2" | awk -v most="$ENDS_DIFFER" '
		{ d = $5 - $9; if (d < 0) d = -d }
		$2 != $6 || $3 != $7 || $4 != $8 || d > most {
			print "      " $1 ": ours " $2, $3, $4, $5 "; ISC " $6, $7, $8, $9 }'
}
databases_agree() {
	ours_all >"$NET_TMP/ours.all"
	dhcpd_all >"$NET_TMP/isc.all"
	only_leased <"$NET_TMP/ours.all" >"$NET_TMP/ours.leased"
	only_leased <"$NET_TMP/isc.all" >"$NET_TMP/isc.leased"
	differences "$NET_TMP/ours.leased" "$NET_TMP/isc.leased" >"$NET_TMP/differences"
	diff <(only_backup <"$NET_TMP/ours.all") <(only_backup <"$NET_TMP/isc.all") |
		sed -n 's/^</      backup at ours only:/p; s/^>/      backup at ISC only:/p' >>"$NET_TMP/differences"
	[ ! -s "$NET_TMP/differences" ]
}
agreed() {
	wait_for "${1:-40}" databases_agree && return 0
	echo "      $(wc -l <"$NET_TMP/differences") differences:"
	head -n 10 "$NET_TMP/differences"
	return 1
}
no_lease_of() { # GROUP
	local a
	databases_agree || return 1
	for a in $(group_addresses "$1"); do ! grep -q "^$a active" "$NET_TMP/ours.all" || return 1; done
}

# --- the end --------------------------------------------------------------------------------------

finish_interop() {
	check "both in NORMAL" normal_wait
	check "the databases agree" agreed
	check "  in which each of $(promises_live) running promises is" promises_recorded
	check "dhcpd is alive" dhcpd_alive
	check "twinleased is alive" net_alive s$US
	check "no client lost its address" addresses_kept
	check "no address was given to two clients" addresses_unique
	capture_stop $US
	check "tshark decodes every message of ours" capture_decodes $US "${NET_LINK_ADDR[$US]}"
	keep_logs
	finish
}
keep_logs() {
	local d=$B/log/interop-${INTEROP_NAME%-}.kept
	rm -rf "$d" && mkdir -p "$d"
	cp "$NET_TMP"/*.log "$NET_TMP"/*.pcap "$NET_TMP"/acks.* "$NET_TMP"/s?/dhcpd.{conf,leases} \
		"$(server_conf $US)" "$d" 2>/dev/null
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID" "$d"
}
finish_now() { echo "WRONG $1; $(states)"; capture_stop $US; keep_logs; logs; exit 1; }
