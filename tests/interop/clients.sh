# shellcheck shell=bash
# clients.sh - groups of simulated clients and a ledger of every ACK that they heard. Each group has
# a name; the same name is the same clients. Sourced by lib.sh.

CLIENTS_FREED="" # addresses that the test itself freed: they may go to somebody else

client_ledger() { : >"$NET_TMP/phases.log"; }

# clients GROUP COUNT PHASES [TWINBENCH OPTION...] - through the relay, at both servers; prints JSON
clients() {
	local group=$1 n=$2 phases=$3 from=()
	shift 3
	[ ! -s "$NET_TMP/acks.$group" ] || [[ $phases == dora* ]] || from=(--resume "$NET_TMP/acks.$group")
	bench_both --clients "$n" --seed "$group" --identity "${IDENTITY:-mixed}" --phases "$phases" \
		--leases "$NET_TMP/acks.$group" "${from[@]}" "$@" | tee -a "$NET_TMP/phases.log"
}
clients_at() { # SERVER GROUP COUNT PHASES [OPTION...] - the other server does not hear them
	local server=${NET_SERVER_ADDR[$1]} group=$2 n=$3 phases=$4 from=()
	shift 4
	[ ! -s "$NET_TMP/acks.$group" ] || [[ $phases == dora* ]] || from=(--resume "$NET_TMP/acks.$group")
	bench --server "$server" --clients "$n" --seed "$group" --identity "${IDENTITY:-mixed}" --phases "$phases" \
		--leases "$NET_TMP/acks.$group" "${from[@]}" "$@" | tee -a "$NET_TMP/phases.log"
}
failures() { jq '[.phases[] | .failed + .naks] | add' <<<"$1"; }
all_served() { equal 0 "$(failures "$1")"; } # JSON of clients

# Who has which address, over all groups: "MAC address", each once.
held() { cat "$NET_TMP"/acks.* 2>/dev/null | awk '{ print $1, $2 }' | sort -u; }
not_freed() { grep -vwFf <(tr ' ' '\n' <<<"${CLIENTS_FREED:-none}" | sed '/^$/d'); }
addresses_kept() {
	local lost
	lost=$(held | not_freed | awk '{ n[$1]++; a[$1] = a[$1] " " $2 } END { for (m in n) if (n[m] > 1) print "      " m a[m] }')
	[ -z "$lost" ] || { head -n 10 <<<"$lost"; return 1; }
}
addresses_unique() {
	local twice
	twice=$(held | not_freed | awk '{ n[$2]++; m[$2] = m[$2] " " $1 } END { for (a in n) if (n[a] > 1) print "      " a m[a] }')
	[ -z "$twice" ] || { head -n 10 <<<"$twice"; return 1; }
}
