# shellcheck shell=bash disable=SC2034,SC2153
# durability.sh - is an ACK on disk before it leaves, and how many syncs does a DORA take? By strace, the
# same for every make of server. Called by tools/bench, after measure.sh, whose settings it uses.

trace_start() { # the system calls of every server that tell durability, a file per server
	local name
	settle
	rm -f "$NET_TMP"/s?.trace # also of a server that does not run now
	for name in s1 s2; do
		[ -n "${NET_PID[$name]:-}" ] || continue
		net_spawn "trace-$name" l strace -f -xx -s 800 -qq -o "$NET_TMP/$name.trace" -p "${NET_PID[$name]}" \
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
	load --clients $((CLIENTS / 4)) --exchanges $((CLIENTS / 4)) --seed many --window "$WINDOW" --period "$PERIOD"
	trace_stop
	read -r syncs acks safe < <(trace_read "${traces[@]}")
	D_many=$(awk -v s="$syncs" -v n="$L_done" 'BEGIN { printf "%.2f", n ? s / n : 0 }')
}
