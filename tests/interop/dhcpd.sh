# shellcheck shell=bash disable=SC2153
# dhcpd.sh - a stock ISC dhcpd 4.4 in server namespace $ISC: configuration, start, what an operator
# does to it by OMAPI, and what its lease file says. Sourced by lib.sh.

DHCPD_NAME=campus   # of the failover peer; ours is $RELATION
DHCPD_SECS=2        # load balance max seconds: it answers for the partner beyond, ours at N + 1
DHCPD_SPLIT=128
DHCPD_FAILOVER=""   # more statements of the failover peer
DHCPD_GLOBAL=""     # more statements
DHCPD_DELAY=10      # max-response-delay
DHCPD_ENV=()        # before the command
WINDOW=10           # max-unacked-updates, at both

dhcpd_role() { [ "$ISC" = 1 ] && echo primary || echo secondary; }

# conf_dhcpd SERVER ROLE - as an operator would write it, without pings before an OFFER
conf_dhcpd() {
	local primary="mclt $MCLT_SEC; split $DHCPD_SPLIT;"
	[ "$2" = primary ] || primary=""
	cat <<C
authoritative; ping-check false; ddns-update-style none; dhcp-cache-threshold 0; db-time-format local;
default-lease-time $LEASE_SEC; max-lease-time $LEASE_SEC; min-lease-time 5;
omapi-port 7911;
$DHCPD_GLOBAL
failover peer "$DHCPD_NAME" { $2; $primary
  address ${NET_LINK_ADDR[$1]}; port 647; peer address ${NET_LINK_ADDR[$((3 - $1))]}; peer port 647;
  max-response-delay $DHCPD_DELAY; max-unacked-updates $WINDOW; load balance max seconds $DHCPD_SECS;
  $DHCPD_FAILOVER }
subnet 10.64.0.0 netmask 255.248.0.0 { option routers 10.64.0.1;
  pool { failover peer "$DHCPD_NAME"; deny dynamic bootp clients; range ${POOL_LOAD/-/ }; } }
subnet 10.77.0.0 netmask 255.255.0.0 { option routers 10.77.0.5;
  pool { failover peer "$DHCPD_NAME"; deny dynamic bootp clients; range ${POOL_DIRECT/-/ }; } }
C
}

dhcpd_run() { # [SERVER [ROLE]]
	local i=${1:-$ISC} d
	d=$(server_dir "$i")
	mkdir -p "$d"
	conf_dhcpd "$i" "${2:-$(dhcpd_role)}" >"$d/dhcpd.conf"
	[ -e "$d/dhcpd.leases" ] || : >"$d/dhcpd.leases"
	net_spawn "s$i" "s$i" "${DHCPD_ENV[@]}" dhcpd -4 -d -f --no-pid -cf "$d/dhcpd.conf" -lf "$d/dhcpd.leases" eth0
}
dhcpd_start() { dhcpd_run "$@" && wait_for 10 dhcpd_listens "${1:-$ISC}"; }
dhcpd_listens() { net_in "s$1" ss -ltnH | grep -q ':7911 '; }
dhcpd_alive() { net_alive "s$ISC"; }
dhcpd_stop() { net_stop "s${1:-$ISC}"; }
# A dhcpd that is killed while it writes reads half an entry back as a lease in no state, and exits
# at the partner's next word about it ("Impossible case"). It is killed between two entries.
dhcpd_kill() { # [SERVER]
	local i=${1:-$ISC}
	net_signal "s$i" STOP
	for _ in {1..100}; do
		[ "$(tail -c 2 "$(server_dir "$i")/dhcpd.leases")" != "}" ] || break
		net_signal "s$i" CONT
		sleep 0.02
		net_signal "s$i" STOP
	done
	net_stop "s$i" KILL
}
dhcpd_freeze() { net_signal "s$ISC" STOP; }
dhcpd_thaw() { net_signal "s$ISC" CONT; }
dhcpd_forget() { : >"$(server_dir "$ISC")/dhcpd.leases"; rm -f "$(server_dir "$ISC")/dhcpd.leases~"; }

# The state is written to the lease file at every change; the last word counts.
dhcpd_word() { # my|partner [SERVER]
	awk -v who="$1" '$1 == who && $2 == "state" { s = $3 } END { print s }' "$(server_dir "${2:-$ISC}")/dhcpd.leases"
}
dhcpd_state() { dhcpd_word my "$@"; }
dhcpd_partner() { dhcpd_word partner "$@"; }
dhcpd_is() { [ "$(dhcpd_state)" = "$1" ]; } # normal, communications-interrupted, partner-down, ...
dhcpd_said() { grep -q "$1" "$NET_TMP/s$ISC.log"; }

# dhcpd_set NUMBER - the local state by OMAPI; 4 is PARTNER-DOWN
dhcpd_set() {
	printf '%s\n' 'server 127.0.0.1' 'port 7911' connect 'new failover-state' \
		"set name = \"$DHCPD_NAME\"" open "set local-state = $1" update |
		net_in "s$ISC" omshell >>"$NET_TMP/omshell.log" 2>&1
}
dhcpd_partner_down() { dhcpd_set 4 && wait_for 10 dhcpd_is partner-down; }

# dhcpd_all [SERVER] - the last entry per address, in the lines of ours_all
dhcpd_all() {
	awk '$1 == "lease" && $3 == "{" { a = $2; state = ""; hw = "-"; id = "-"; ends = 0 }
		$1 == "ends" && $2 == "epoch" { ends = $3 + 0 }
		$1 == "binding" && $2 == "state" { state = $3 }
		$1 == "hardware" { hw = $3 }
		$1 == "uid" { id = "id" }
		$1 == "}" && a != "" { row[a] = state " " hw " " id " " ends; a = "" }
		END { for (a in row) { gsub(/;/, "", row[a]); print a, row[a] } }' \
		"$(server_dir "${1:-$ISC}")/dhcpd.leases" | sort
}
