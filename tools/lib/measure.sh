# shellcheck shell=bash disable=SC2034,SC2153
# measure.sh - load on the servers that run, and what it costs them. Called by tools/bench and others.
# Settings: TARGETS (arguments of the generator), CLIENTS, NEW (or empty), WINDOW, PERIOD, PERIODS, STEPS,
# TRIES, VERBOSE (or empty).
# A measurement leaves its figures as JSON in L, some of them in L_done L_failed L_rate L_cpu L_offer L_ack
# (ms, 99 %):
#   cpu      microseconds of all servers, utime and stime of all threads, for each DORA done
#   cpu_of   of each server for itself, for each DORA that it answered; null: it answered hardly any

# Processor time of a server in clock ticks; 0: it does not run.
ticks_of() { # NAME
	local s
	# shellcheck disable=SC2086
	[ -n "${NET_PID[$1]:-}" ] && s=$(<"/proc/${NET_PID[$1]}/stat") && set -- ${s##*) } && echo $((${12} + ${13})) || echo 0
} 2>/dev/null
ticks() { echo $(($(ticks_of s1) + $(ticks_of s2))); }

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
	before="[$(ticks_of s1), $(ticks_of s2)]"
	json=$(bench "${TARGETS[@]}" --phases dora "$@" 2>"$NET_TMP/generator.err") ||
		sed 's/^/  /; 5q' "$NET_TMP/generator.err" >&2
	settle
	after="[$(ticks_of s1), $(ticks_of s2)]"
	L=$(jq -c --argjson before "$before" --argjson after "$after" --argjson hz "$(getconf CLK_TCK)" '
		def tenth: . * 10 | round / 10;
		def each($n): if $n > 0 then . / $n | tenth else 0 end;
		[.servers[].acks] as $acks | [0, 1 | ($after[.] - $before[.]) * 1e6 / $hz] as $us | .phases[0] |
		{done, failed: (.failed + .busy), resent, rate: (.per_second | tenth),
		 offer_p99: .offer_ms.p99, ack_p50: .ack_ms.p50, ack_p99: .ack_ms.p99,
		 cpu: (.done as $n | $us | add | each($n)),
		 cpu_of: (.done as $n | [range($acks | length) | if $acks[.] * 20 > $n then $acks[.] as $m | $us[.] | each($m) else null end])
		}' <<<"$json")
	[ -n "$L" ] || L={}
	read -r L_done L_failed L_rate L_cpu L_offer L_ack < <(
		jq -r '[.done, .failed, .rate, .cpu, .offer_p99, .ack_p99 | . // 0] | @tsv' <<<"$L")
}

# Who comes next: clients never seen before, as long as there are any (then the first return), or the same ones.
NEXT=0
who() { # COUNT; leaves arguments in WHO
	WHO=(--clients "$CLIENTS")
	[ -n "${NEW:-}" ] || return 0
	[ $((NEXT + $1)) -le "$CLIENTS" ] || NEXT=0
	WHO=(--clients "$1" --first "$NEXT")
	NEXT=$((NEXT + $1))
}

# New clients, so many exchanges under way, each as often as it takes.
measure_closed() { # SEED [ARGUMENT...]
	load --clients "$CLIENTS" --seed "$1" --window "$WINDOW" "${@:2}"
	NEXT=$((L_done + L_failed))
}

# Three of half a period: what is left in L is the middle one, in GUESS the rate of the best.
measure_closed_thrice() { # SEED
	local i
	NEXT=0
	for i in 1 2 3; do
		load --clients $((CLIENTS - NEXT)) --first $NEXT --seed "$1" --window "$WINDOW" --exchanges "$CLIENTS" \
			--period "$(awk -v p="$PERIOD" 'BEGIN { print p / 2 }')"
		[ -z "${NEW:-}" ] || NEXT=$((NEXT + L_done + L_failed))
		[ "$NEXT" -lt $((CLIENTS / 2)) ] || NEXT=0
		echo "$L"
	done >"$NET_TMP/closed"
	GUESS=$(jq -s 'map(.rate // 0) | max | floor' "$NET_TMP/closed")
	L=$(jq -s -c 'sort_by(.rate)[1]' "$NET_TMP/closed")
}

# By the clock, no message sent twice.
measure_rate() { # SEED RATE [SECONDS]
	local period=${3:-$PERIOD}
	[ "$2" -ge 1 ] || { echo "a rate of $2 is none" >&2; return 1; } # to twinbench it is a closed loop
	who $(($2 * period))
	load "${WHO[@]}" --seed "$1" --rate "$2" --period "$period" --tries 1
	L_rate=$(awk -v d="$L_done" -v p="$period" 'BEGIN { print d / p }')
	L=$(jq -c --argjson r "$L_rate" '.rate = $r' <<<"$L")
}

# Latency: the median of each figure of PERIODS periods, so that one moment in which somebody else has
# the processor does not decide.
measure_periods() { # SEED RATE
	local i
	for ((i = 0; i < PERIODS; i++)); do
		measure_rate "$1" "$2" || return 1
		echo "$L"
	done >"$NET_TMP/periods"
	L=$(jq -s -c -L tools/lib 'include "bench"; medians' "$NET_TMP/periods")
}

# Fewer than 1 % without an answer within 1 s, and 99 % of the answers within 0.2 s: else there is
# a queue that grows, and a short run only does not see its end.
sustained() { # RATE
	awk -v want="$1" -v rate="$L_rate" -v offer="$L_offer" -v ack="$L_ack" \
		'BEGIN { exit !(rate >= 0.99 * want && offer <= 200 && ack <= 200) }'
}

# One of TRIES is enough: what others do to the machine makes a rate fail, and never hold. Leaves that
# run in BEST, as L is, and its rate in BEST_RATE.
holds() { # SEED RATE
	local try
	for ((try = 1; try <= TRIES; try++)); do
		measure_rate "$1" "$2" || return 1
		[ -z "$VERBOSE" ] || echo "    $2/s: $L_rate/s, lost $L_failed, p99 $L_offer/$L_ack ms (try $try)" >&2
		sustained "$2" || continue
		BEST=$L BEST_RATE=${L_rate%.*}
		return 0
	done
	return 1
}

# The largest rate that is sustained: from a guess up by halves as long as it holds, or down to two
# thirds until it does; then STEPS times between the largest that holds and the least that does not.
# Leaves it as holds() does. Fails where none holds.
search() { # SEED GUESS
	local low=0 high=0 step rate=$(($2 + 1))
	BEST='{"rate": 0}' BEST_RATE=0
	for ((step = 0; step < 12 && rate > 0 && (low == 0 || high == 0); step++)); do
		if holds "$1" "$rate"; then
			low=$rate rate=$(((rate * 3 + 1) / 2))
		else
			high=$rate rate=$((rate * 2 / 3))
		fi
	done
	[ "$low" -gt 0 ] || return 1
	for ((step = 0; step < STEPS && high > 0; step++)); do
		rate=$(awk -v a="$low" -v b="$high" 'BEGIN { printf "%d", sqrt(a * b) }')
		if holds "$1" "$rate"; then low=$rate; else high=$rate; fi
	done
}
