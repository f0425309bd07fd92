# shellcheck shell=bash disable=SC2034,SC2153
# rows.sh - one server, or a pair, of one make with one size of pool: started anew for each run, measured
# in all the ways of tools/bench, and made a line of its table and an object of its JSON.
# Settings: those of measure.sh, and RUNS, POOLS, QUICK (or empty), EQUAL, AT (rate at which latency is
# measured; empty: at half of the largest).

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

# --- the floor ------------------------------------------------------------------------------------

# Programs that answer and remember nothing: what the network takes, and the disk, before any server
# has done anything. It is the same program; durable: no ACK leaves before a sync.
start_echo() { # [ARGUMENT...]
	net_spawn s1 s1 env "${PRELOAD[@]}" "$B/tests/lib/dhcp_echo" "${NET_SERVER_ADDR[1]}" "$@" && wait_for 10 answers
}
start_echo_durable() { mkdir -p "$(server_dir 1)" && start_echo --durable "$(server_dir 1)/acks"; }

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

# What goes wrong with a row is said in its place; it has no figures then.
no_row() { # NAME REASON
	echo "$1: $2" | tee -a "$NET_TMP/missing"
	stop_servers
	return 1
}

# Leaves a line of JSON in $NET_TMP/runs. The closed loops come first: they find the first guess.
one_run() { # NAME START-FUNCTION NUMBER
	local seed=$3-$RANDOM closed equal half floor=null rate disk others rss own
	others=$(others_busy) disk=$(disk_speed)
	if ! "$2" >"$NET_TMP/start" 2>&1; then
		tail -n 3 "$NET_TMP/start" "$NET_TMP"/s?.log >&2
		no_row "$1" "does not start"
		return
	fi
	settle # a pair may still be at its balance
	measure_closed_thrice "$seed"
	closed=$L
	search "$seed" "$GUESS" || { no_row "$1" "no rate is sustained, from $GUESS/s down"; return; }
	rate=${AT:-$((BEST_RATE / 2 > 0 ? BEST_RATE / 2 : 1))}
	measure_periods "$seed" "$rate" && half=$L
	measure_rate "$seed" "$EQUAL" && equal=$L
	rss=$(memory_of VmRSS) own=$(memory_of RssAnon)
	[[ $2 != start_twinlease* ]] || R_filter=$(filter_mode 2>/dev/null)
	[[ $2 != start_twinlease* ]] || [ -z "$NEW" ] || { measure_floor "$seed" "$rate" && floor=$L; }
	jq -n -c --argjson closed "$closed" --argjson sustained "$BEST" --argjson half "$half" --argjson equal "$equal" \
		--argjson rss "$rss" --argjson own "$own" --argjson disk "$disk" --argjson others "$others" --argjson floor "$floor" \
		'{$closed, $sustained, $half, $equal, rss_kb: $rss, rss_anon_kb: $own, disk_syncs: $disk,
		  others_percent: $others} + if $floor then {$floor} else {} end' >>"$NET_TMP/runs"
	[ "$3" != 1 ] || one_extra "$2"
	stop_servers
}

# What the durable echo takes at the same rate on the same disk, a moment after one of ours, whose
# servers are at their end then; in L.
measure_floor() { # SEED RATE
	local targets=("${TARGETS[@]}") preload=("${PRELOAD[@]}") r
	stop_servers
	PRELOAD=("${preload[@]}")
	one_target
	start_echo_durable && measure_periods "$1" "$2"
	r=$?
	TARGETS=("${targets[@]}")
	return $r
}

# Once per row, after its first run, on fresh servers where pools are small.
one_extra() { # START-FUNCTION
	stop_servers
	"$1" >"$NET_TMP/start" 2>&1 && measure_durability
}

# What the machine takes, before each row: processor time of an echo, and the disk's for a sync.
measure_machine() {
	one_target
	if start_echo; then
		load --clients $((QUICK ? 30000 : 100000)) --seed echo --window "$WINDOW"
		echo "$L_cpu" >>"$NET_TMP/echo"
	fi
	stop_servers
	sync_time >>"$NET_TMP/syncs"
}

# "p50 p99" of a sync of 4 KiB every 1.5 ms, in ms.
sync_time() {
	"$B/tests/lib/sync_time" "$NET_TMP/disk" $((QUICK ? 300 : 1000)) && rm -f "$NET_TMP/disk"
}

# --- a row ----------------------------------------------------------------------------------------

row() { # KEY NAME one|two START-FUNCTION
	local run window=$WINDOW
	wanted "$1" || return 0
	: >"$NET_TMP/runs"
	measure_machine
	D_one="" D_many="" D_text=unknown R_filter=""
	"$3_target$([ "$3" = one ] || echo s)"
	for ((run = 1; run <= RUNS; run++)); do
		one_run "$2" "$4" "$run" || break
	done
	WINDOW=$window
	[ "$run" -gt "$RUNS" ] || return 0
	jq -s -L tools/lib --arg key "$1" --arg name "$2" --argjson pool "$POOL" --arg servers "$3" --arg synced "$D_text" \
		--arg one "$D_one" --arg many "$D_many" --arg filter "$R_filter" --arg new "$NEW" \
		'include "bench"; {$key, $name, $pool, clients: (if $new == "1" then "new" else "returning" end),
		  pair: ($servers == "two"), filter: (if $filter == "" then null else $filter end), synced_before_ack: $synced,
		  syncs_one: ($one | tonumber? // null), syncs_many: ($many | tonumber? // null), median: medians, runs: .}' \
		"$NET_TMP/runs" | tee -a "$NET_TMP/rows" | jq -r -L tools/lib 'include "bench"; row_line'
}

# Half of what our single server does in this pool, or nothing if that was not measured.
rate_of_ours() {
	jq -s --argjson pool "$POOL" 'map(select(.key == "twinlease-single" and .pool == $pool).median.sustained.rate / 2 | floor)[0] // empty' \
		"$NET_TMP/rows"
}
one_target() { TARGETS=(--server "${NET_SERVER_ADDR[1]}"); }
two_targets() { TARGETS=(--server "${NET_SERVER_ADDR[1]}" --server "${NET_SERVER_ADDR[2]}"); }
