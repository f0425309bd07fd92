# shellcheck shell=bash disable=SC2034,SC2153
# rows.sh - one server, or a pair, of one make with one size of pool: started anew for each run, measured
# in all the ways of tools/bench, and made a line of its table and an object of its JSON.
# Settings: those of measure.sh, and RUNS, POOLS, QUICK (or empty), EQUAL.

# --- pools ----------------------------------------------------------------------------------------

address() { local n=$(((11 << 24) + $1)); echo "$((n >> 24)).$((n >> 16 & 255)).$((n >> 8 & 255)).$((n & 255))"; }
# shellcheck disable=SC2086
address_before() { local IFS=.; set -- $1; address $((($2 << 16) + ($3 << 8) + $4 - 1)); }

# Half of the pool belongs to each of a pair, and the clients do not fall evenly: 7 of 10. A small pool is
# soon used up, so its clients return; each return is a new lease time and a write, for every server.
use_pool() { # ADDRESSES
	POOL=$1 CLIENTS=$(($1 * 7 / 10)) NEW=""
	FIRST=$(address 16) MIDDLE=$(address $((16 + POOL / 2))) LAST=$(address $((16 + POOL - 1)))
	[ "$POOL" -lt 500000 ] || NEW=1
}

# --- ours -----------------------------------------------------------------------------------------

filter_mode() { ctl 1 filter show --json | jq -r .mode; }
start_twinlease() { scale_conf single pool && server_start 1 && server_wait 1 && wait_for 10 answers; }
# A sync takes 5 ms longer; more exchanges are under way, or none but the disk would be measured.
start_twinlease_slow() {
	slow_disk 5000
	WINDOW=512
	start_twinlease
}

# Both must hold free addresses before the first client comes, or the primary where it answers all.
pair_has_shares() {
	local i holds="[.free, .backup] | min"
	[ "$SHARE" != 100 ] || holds=.free
	for i in 1 2; do
		ctl $i scope list --json | jq -e --argjson n $((POOL * 45 / 100)) \
			'.[] | select(.name == "load") | .addresses | '"($holds)"' >= $n' || return 1
	done
}
start_twinlease_pair() { scale_conf pair pool && pair_up && wait_for 20 pair_has_shares; }
start_twinlease_pair_off() { FILTER=off start_twinlease_pair; }
start_twinlease_pair_one() { SHARE=100 start_twinlease_pair; }

stop_servers() {
	net_stop trace-s1
	net_stop trace-s2
	net_stop s1
	net_stop s2
	PRELOAD=()
	rm -rf "$(server_dir 1)" "$(server_dir 2)" "$NET_TMP"/s?.log
}

# --- one run --------------------------------------------------------------------------------------

disk_speed() { # syncs per second of 256 octets each
	local t
	t=$(now_ms)
	dd if=/dev/zero of="$NET_TMP/disk" bs=256 count=200 oflag=dsync 2>/dev/null
	t=$(($(now_ms) - t))
	rm -f "$NET_TMP/disk"
	echo $((200000 / (t > 0 ? t : 1)))
}

# Percent of the machine that others use, while nothing of ours runs.
others_busy() {
	local -a a b
	read -ra a </proc/stat
	sleep 0.3
	read -ra b </proc/stat
	local i total=0 idle=$((b[4] - a[4] + b[5] - a[5]))
	for i in {1..8}; do total=$((total + b[i] - a[i])); done
	echo $((total > 0 ? 100 * (total - idle) / total : 0))
}

memory_of() { # FIELD of /proc/PID/status; of the server that has more, in kB
	local name
	for name in s1 s2; do
		[ -z "${NET_PID[$name]:-}" ] || awk -v f="$1:" '$1 == f { print $2 }' "/proc/${NET_PID[$name]}/status"
	done | sort -n | tail -n 1
}

# Leaves a line of JSON in $NET_TMP/runs. The closed loop comes first: it finds the first guess.
one_run() { # START-FUNCTION NUMBER
	local seed=$2-$RANDOM closed equal half disk others
	others=$(others_busy) disk=$(disk_speed)
	if ! "$1" >"$NET_TMP/start" 2>&1; then
		tail -n 3 "$NET_TMP/start" "$NET_TMP"/s?.log >&2
		stop_servers
		return 1
	fi
	settle # a pair may still be at its balance
	measure_closed "$seed" --exchanges "$CLIENTS" --period "$PERIOD"
	closed=$L
	search "$seed" "$(jq '.rate | floor' <<<"$closed")"
	measure_rate "$seed" $((BEST_RATE / 2)) && half=$L
	measure_rate "$seed" "$EQUAL" && equal=$L
	jq -n -c --argjson closed "$closed" --argjson sustained "$BEST" --argjson half "$half" --argjson equal "$equal" \
		--argjson rss "$(memory_of VmRSS)" --argjson own "$(memory_of RssAnon)" \
		--argjson disk "$disk" --argjson others "$others" \
		'{$closed, $sustained, $half, $equal, rss_kb: $rss, rss_anon_kb: $own, disk_syncs: $disk,
		  others_percent: $others}' >>"$NET_TMP/runs"
	[ "$2" != 1 ] || one_extra "$1"
	stop_servers
}

# Once per row, after its first run, on fresh servers where pools are small.
one_extra() {
	R_filter=""
	case $1 in start_twinlease*) R_filter=$(filter_mode 2>/dev/null) ;; esac
	stop_servers
	"$1" >"$NET_TMP/start" 2>&1 && measure_durability
}

# What the network alone costs: a program that answers each message and remembers nothing.
measure_echo() {
	net_spawn s1 s1 "$B/tests/lib/dhcp_echo" "${NET_SERVER_ADDR[1]}"
	one_target
	if wait_for 5 answers; then
		load --clients 100000 --seed echo --window "$WINDOW"
		echo "$L_cpu" >>"$NET_TMP/echo"
	fi
	net_stop s1
}

# --- a row ----------------------------------------------------------------------------------------

row() { # KEY NAME one|two START-FUNCTION
	local run window=$WINDOW
	wanted "$1" || return 0
	: >"$NET_TMP/runs"
	measure_echo
	D_one="" D_many="" D_text=unknown R_filter=""
	"$3_target$([ "$3" = one ] || echo s)"
	for ((run = 1; run <= RUNS; run++)); do
		one_run "$4" "$run" || { echo "$2: does not start" | tee -a "$NET_TMP/missing"; return 0; }
	done
	WINDOW=$window
	jq -s -L tools/lib --arg key "$1" --arg name "$2" --argjson pool "$POOL" --arg servers "$3" --arg synced "$D_text" \
		--arg one "$D_one" --arg many "$D_many" --arg filter "$R_filter" --arg new "$NEW" \
		'include "bench"; {$key, $name, $pool, clients: (if $new == "1" then "new" else "returning" end),
		  pair: ($servers == "two"), filter: (if $filter == "" then null else $filter end), synced_before_ack: $synced,
		  syncs_one: ($one | tonumber? // null), syncs_many: ($many | tonumber? // null), median: medians, runs: .}' \
		"$NET_TMP/runs" | tee -a "$NET_TMP/rows" | jq -r -L tools/lib 'include "bench"; row_line'
}
one_target() { TARGETS=(--server "${NET_SERVER_ADDR[1]}"); }
two_targets() { TARGETS=(--server "${NET_SERVER_ADDR[1]}" --server "${NET_SERVER_ADDR[2]}"); }
