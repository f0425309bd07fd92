# shellcheck shell=bash
# clients.sh - groups of simulated clients and a ledger of every ACK that they heard. Each group has
# a name; the same name is the same clients. Sourced by lib.sh.

CLIENTS_FREED="" # addresses that the test itself freed: they may go to somebody else

# Two of them would want the relay's port at one time.
alone() { (flock 8 && "$@") 8>"$NET_TMP/relay.lock"; }
client_ledger() { : >"$NET_TMP/phases.log"; }

# clients GROUP COUNT PHASES [TWINBENCH OPTION...] - through the relay, at both servers; prints JSON
clients() {
	local group=$1 n=$2 phases=$3 from=()
	shift 3
	[ ! -s "$NET_TMP/acks.$group" ] || [[ $phases == dora* ]] || from=(--resume "$NET_TMP/acks.$group")
	alone bench_both --clients "$n" --seed "$group" --identity "${IDENTITY:-mixed}" --phases "$phases" --tries 8 \
		--leases "$NET_TMP/acks.$group" "${from[@]}" "$@" | tee -a "$NET_TMP/phases.log"
}
clients_at() { # SERVER GROUP COUNT PHASES [OPTION...] - the other server does not hear them
	local server=${NET_SERVER_ADDR[$1]} group=$2 n=$3 phases=$4 from=()
	shift 4
	[ ! -s "$NET_TMP/acks.$group" ] || [[ $phases == dora* ]] || from=(--resume "$NET_TMP/acks.$group")
	alone bench --server "$server" --clients "$n" --seed "$group" --identity "${IDENTITY:-mixed}" --phases "$phases" --tries 8 \
		--leases "$NET_TMP/acks.$group" "${from[@]}" "$@" | tee -a "$NET_TMP/phases.log"
}
failures() { jq '[.phases[] | .failed + .naks] | add' <<<"$1"; }
all_served() { equal 0 "$(failures "$1")"; } # JSON of clients

# --- what every client was promised ---------------------------------------------------------------

held() { cat "$NET_TMP"/acks.* 2>/dev/null | awk '{ print $1, $2 }' | sort -u; } # "MAC address", each once
ledger() { # all ACKs but those of freed addresses, in the order of time: MAC address expiry server time
	cat "$NET_TMP"/acks.* 2>/dev/null | sort -s -n -k 5,5 |
		grep -vwFf <(tr ' ' '\n' <<<"${CLIENTS_FREED:-none}" | sed '/^$/d')
}
# A client that still has a lease is not given another address.
addresses_kept() {
	local lost
	lost=$(ledger | awk '{
		if ($1 in address && address[$1] != $2 && ends[$1] > $5 + 1)
			print "      " $1 " had " address[$1] " for another " ends[$1] - $5 " s, got " $2 " of " $4
		address[$1] = $2; ends[$1] = $3 }')
	[ -z "$lost" ] || { head -n 10 <<<"$lost"; return 1; }
}
# An address goes to another client only when the lease of the one before is over.
addresses_unique() {
	local twice
	twice=$(ledger | awk '{
		if ($2 in client && client[$2] != $1 && ends[$2] > $5 + 1)
			print "      " $2 " was of " client[$2] " for another " ends[$2] - $5 " s, " $4 " gave it to " $1
		client[$2] = $1; ends[$2] = $3 }')
	[ -z "$twice" ] || { head -n 10 <<<"$twice"; return 1; }
}
# Every lease that a client may still use is in our database, and for so long. (Ours and theirs are
# compared with each other besides.)
promises_recorded() {
	local missing
	missing=$(ledger | awk '{ last[$1] = $0 } END { for (m in last) print last[m] }' |
		awk -v now="$(date +%s)" -v most="$ENDS_DIFFER" 'NR == FNR { client[$1] = $3; ends[$1] = $5; next }
			$3 > now + 5 && (client[$2] != $1 || ends[$2] + most < $3) {
				print "      " $2 " of " $1 " until " $3 ": the database has " client[$2], ends[$2] }' \
			"$NET_TMP/ours.leased" -)
	[ -z "$missing" ] || { head -n 10 <<<"$missing"; return 1; }
}
promises_live() { ledger | awk -v now="$(date +%s)" '$3 > now { n[$1] } END { for (m in n) k++; print k + 0 }'; }

group_addresses() { awk '{ print $2 }' "$NET_TMP/acks.$1" | sort -u | tr '\n' ' '; }
none_of_group() { # GROUP OTHER... - no address of the one is one of the others
	local a taken
	a=$(group_addresses "$1")
	shift
	taken=$(for g; do group_addresses "$g"; done | tr ' ' '\n' | grep -xFf <(tr ' ' '\n' <<<"$a" | sed '/^$/d'))
	[ -z "$taken" ] || { echo "      ${taken//$'\n'/ }"; return 1; }
}

# What clients may use now: the last lease of each, as long as it runs.
latest_unique() {
	local twice
	twice=$(sort -s -n -k 5,5 "$NET_TMP"/acks.* | awk -v now="$(date +%s)" '
		{ address[$1] = $2; ends[$1] = $3 }
		END { for (m in address) if (ends[m] > now) { n[address[m]]++; who[address[m]] = who[address[m]] " " m }
			for (a in n) if (n[a] > 1) print "      " a who[a] }')
	[ -z "$twice" ] || { head -n 10 <<<"$twice"; return 1; }
}
