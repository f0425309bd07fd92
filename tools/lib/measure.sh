# shellcheck shell=bash disable=SC2034,SC2153
# measure.sh - load on the servers that run, and what it costs them. Called by tools/bench.
# Settings: TARGETS (arguments of the generator), CLIENTS, WINDOW, PERIOD, STEPS, TRIES, GENERATOR, VERBOSE, QUICK (or empty).
# A measurement leaves its figures in L_done L_failed L_resent L_rate L_cpu L_offer L_ack (ms, 99 %).

# Processor time of all servers, every thread, in clock ticks.
ticks() {
	local name s t=0
	for name in s1 s2; do
		[ -n "${NET_PID[$name]:-}" ] && s=$(<"/proc/${NET_PID[$name]}/stat") || continue
		# shellcheck disable=SC2086
		set -- ${s##*) }
		t=$((t + ${12} + ${13}))
	done 2>/dev/null
	echo "$t"
}

# Updates to the partner trail behind the clients: wait until the servers rest, at most 3 s.
settle() {
	local i before
	for ((i = 0; i < 30; i++)); do
		before=$(ticks)
		sleep 0.1
		[ $(($(ticks) - before)) -gt 1 ] || return 0
	done
}

answers() { [ "$(bench "${TARGETS[@]}" --clients 1 --seed probe --phases discover --listen 200 | jq '.phases[0].done')" = 1 ]; }

median() { sort -n | awk '{ a[NR] = $1 } END { print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }

load() { # ARGUMENTS of twinbench; one phase
	local before after json
	before=$(ticks)
	json=$(bench "${TARGETS[@]}" --phases dora "$@" 2>"$NET_TMP/generator.err") ||
		sed 's/^/  /; 5q' "$NET_TMP/generator.err" >&2
	settle
	after=$(ticks)
	read -r L_done L_failed L_resent L_rate L_offer L_ack L_cpu < <(
		jq -r --argjson t $((after - before)) --argjson hz "$(getconf CLK_TCK)" '.phases[0] |
			[.done, .failed + .busy, .resent, .per_second, .offer_ms.p99, .ack_ms.p99,
			 if .done > 0 then $t * 1000000 / $hz / .done else 0 end] | map(. * 10 | round / 10) | @tsv' <<<"$json")
	: "${L_done:=0}" "${L_failed:=0}" "${L_resent:=0}" "${L_rate:=0}" "${L_offer:=0}" "${L_ack:=0}" "${L_cpu:=0}"
}

load_perfdhcp() { # RATE
	local before after target=${TARGETS[1]}
	[ ${#TARGETS[@]} = 2 ] || target=all # it cannot name two servers; both hear a broadcast
	before=$(ticks)
	net_in l timeout $((PERIOD * 3 + 20)) perfdhcp -4 -l "$NET_GIADDR" -r "$1" -R "$CLIENTS" \
		-b mac=02:0c:01:00:00:00 -p "$PERIOD" -d 1 -W 1100000 "$target" >"$NET_TMP/perfdhcp" 2>&1
	settle
	after=$(ticks)
	read -r L_done L_failed L_resent L_rate L_offer L_ack L_cpu < <(awk -v period="$PERIOD" -v rate="$1" \
		-v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '
		/Statistics for: / { k = $0 ~ /OFFER/ ? "o" : "a" }
		/^sent packets:/ { sent[k] = $3 } /^received packets:/ { got[k] = $3 } /^max delay:/ { max[k] = $3 }
		END { lost = sent["o"] - got["a"]
			print got["a"] + 0, lost < 0 ? 0 : lost, 0, got["a"] / period, max["o"] + 0, max["a"] + 0,
				got["a"] ? ticks * 1e6 / hz / got["a"] : 0 }' "$NET_TMP/perfdhcp")
}

# Every client gets its lease first, or the first rates would meet new clients and the later known ones.
warm_perfdhcp() {
	local PERIOD=$((CLIENTS / 800 + 2))
	load_perfdhcp 800
}

# New clients, so many exchanges under way, each as often as it takes.
measure_closed() { load --clients "$CLIENTS" --seed "$1" --window "$WINDOW"; }

# Clients that have been here before, by the clock, no message sent twice.
measure_rate() { # SEED RATE
	if [ "$GENERATOR" = perfdhcp ]; then
		load_perfdhcp "$2"
	else
		load --clients "$CLIENTS" --seed "$1" --rate "$2" --period "$PERIOD" --tries 1
		L_rate=$(awk -v d="$L_done" -v p="$PERIOD" 'BEGIN { print d / p }')
	fi
}

# Fewer than 1 % without an answer within 1 s, and 99 % of the answers within 0.2 s: else there is
# a queue that grows, and a short run only does not see its end. (perfdhcp: losses alone.)
sustained() { # RATE
	awk -v want="$1" -v rate="$L_rate" -v offer="$L_offer" -v ack="$L_ack" -v g="$GENERATOR" \
		'BEGIN { exit !(rate >= 0.99 * want && (g == "perfdhcp" || offer <= 200 && ack <= 200)) }'
}

# The largest rate that is sustained: from a first guess up or down by two fifths until one rate is
# sustained and one is not, then between the two. A rate that fails is tried TRIES times.
# Leaves the figures of the best run in B_rate B_cpu B_offer B_ack.
search() { # SEED GUESS
	local low=0 high=0 step rate=$(($2 + 1)) try
	B_rate=0 B_cpu=0 B_offer=0 B_ack=0
	for ((step = 0; step < STEPS; step++)); do
		for ((try = 1; try <= TRIES; try++)); do
			measure_rate "$1" "$rate"
			! sustained "$rate" || break
		done
		[ -z "$VERBOSE" ] || echo "    $rate/s: $L_rate/s, lost $L_failed, p99 $L_offer/$L_ack ms (try $try)" >&2
		if sustained "$rate"; then
			low=$rate B_rate=$L_rate B_cpu=$L_cpu B_offer=$L_offer B_ack=$L_ack
		else
			high=$rate
		fi
		rate=$(awk -v a="$low" -v b="$high" 'BEGIN { printf "%d", !b ? a * 1.4 : !a ? b / 1.4 : sqrt(a * b) }')
	done
}

# --- durability -----------------------------------------------------------------------------------

trace_start() { # the system calls of every server that tell durability, a file per server
	local name
	settle
	for name in s1 s2; do
		[ -n "${NET_PID[$name]:-}" ] || continue
		rm -f "$NET_TMP/$name.trace"
		net_spawn "trace-$name" b strace -f -xx -s 800 -qq -o "$NET_TMP/$name.trace" -p "${NET_PID[$name]}" \
			-e trace=fsync,fdatasync,msync,sync_file_range,sendto,sendmsg,sendmmsg
		wait_for 5 grep -q "TracerPid:[[:space:]]*[1-9]" "/proc/${NET_PID[$name]}/status"
	done
}
trace_stop() { net_stop trace-s1 INT; net_stop trace-s2 INT; }

# Reads traces: "syncs ACKs ACKs-after-a-sync", one client at a time. An ACK is durable when a sync
# has ended between the OFFER and the moment when it was handed to the kernel, which a line
# "unfinished" tells where there is one. Known by the cookie of DHCP and option 53.
trace_read() {
	awk '
		BEGIN { dhcp = "\\\\x63\\\\x82\\\\x53\\\\x63"; ack = "\\\\x35\\\\x01\\\\x05" }
		FNR == 1 { since = 0; delete began }
		/(fsync|fdatasync|msync|sync_file_range)(\(| resumed).*= 0/ { syncs++; since++ }
		/send(to|msg|mmsg)\(.*unfinished/ { began[$1] = since }
		/send(to|msg|mmsg)(\(| resumed)/ && $0 ~ dhcp {
			before = $1 in began ? began[$1] : since
			delete began[$1]
			if ($0 !~ ack) { since -= before; next }
			acks++
			safe += before > 0
		}
		END { print syncs + 0, acks + 0, safe + 0 }' "$@"
}

# D_one, D_many: syncs per DORA one by one, and in the closed loop. D_text: is an ACK durable?
measure_durability() {
	local n=$((QUICK ? 20 : 40)) syncs acks safe traces
	D_one="" D_many="" D_text=unknown
	command -v strace >/dev/null || return 0
	trace_start
	load --clients $n --seed one-by-one --window 1
	trace_stop
	traces=("$NET_TMP"/s?.trace)
	[ -s "${traces[0]}" ] || return 0
	read -r syncs acks safe < <(trace_read "${traces[@]}")
	D_one=$(awk -v s="$syncs" -v n="$L_done" 'BEGIN { printf "%.1f", n ? s / n : 0 }')
	if [ "$acks" = 0 ]; then
		D_text=unknown
	elif [ "$safe" = 0 ]; then
		D_text=no
	elif [ "$safe" -ge $((acks * 95 / 100)) ]; then
		D_text=yes
	else
		D_text="$safe of $acks"
	fi
	trace_start
	load --clients $((CLIENTS / (QUICK ? 8 : 4))) --seed many --window "$WINDOW"
	trace_stop
	read -r syncs acks safe < <(trace_read "${traces[@]}")
	D_many=$(awk -v s="$syncs" -v n="$L_done" 'BEGIN { printf "%.2f", n ? s / n : 0 }')
}
