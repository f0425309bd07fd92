# shellcheck shell=bash
# capture.sh - records the failover link of the network of net.sh and lets Wireshark's dissector, a
# decoder that is not ours, read what we sent. Called by tests in namespaces. Needs tshark
# and its dumpcap.
#
#   capture_start 1 && ... && capture_stop 1
#   check "tshark decodes what server 1 sent" capture_decodes 1 "${NET_LINK_ADDR[1]}"
#
# In the dissector of Wireshark 4.0 UPDREQALL and UPDREQ carry each other's names; a client
# identifier with a zero octet in it gives a warning there. Neither is a fault of the message.

capture_file() { echo "$NET_TMP/link$1.pcap"; }
CAPTURE_PROGRAMS=(dumpcap tshark)
capture_possible() {
	local p
	for p in "${CAPTURE_PROGRAMS[@]}"; do command -v "$p" >/dev/null || return 1; done
}

# capture_start SERVER [INTERFACE] [PORT] - in the server's namespace, where a cut cable does not end it
capture_start() {
	capture_possible || return 0
	rm -f "$(capture_file "$1")"
	net_spawn "capture$1" "s$1" dumpcap -q -i "${2:-eth1}" -f "tcp port ${3:-647} or arp" -w "$(capture_file "$1")"
	wait_for 10 test -s "$(capture_file "$1")"
}

# The kernel hands frames over in blocks, some tenths of a second late: a question for an address that
# nobody has is the last of them. (Where the cable is cut it never comes, nor does anything else.)
CAPTURE_NOBODY=10.99.0.254
capture_stop() { # SERVER
	net_alive "capture$1" || return 0
	net_in "s$1" bash -c "echo >/dev/udp/$CAPTURE_NOBODY/9" 2>/dev/null
	wait_for 2 capture_asked "$1" || net_say "the end of the recording at server $1 was not seen"
	net_stop "capture$1"
}
capture_asked() { # SERVER; an ARP request: no hardware address, then this one
	tail -c 1000000 "$(capture_file "$1")" | od -An -v -t x1 | tr -d ' \n' |
		grep -q "000000000000$(printf '%02x' ${CAPTURE_NOBODY//./ })"
}

# capture_read SERVER FILTER FIELD... - one line per frame
capture_read() {
	local file filter=$2 fields=() f
	file=$(capture_file "$1")
	shift 2
	for f; do fields+=(-e "$f"); done
	tshark -2 -r "$file" -d tcp.port==647,dhcpfo -Y "$filter" -T fields "${fields[@]}" 2>/dev/null
}

# Octets that the dissector did not take for a message: what is neither a part of one nor sent again.
CAPTURE_STRAY='tcp.len > 0 && !dhcpfo && !tcp.reassembled_in && !tcp.segment
	&& !tcp.analysis.retransmission && !tcp.analysis.keep_alive'
CAPTURE_BAD='dhcpfo && (_ws.malformed || _ws.expert.severity == 8388608 || dhcpfo.bad_length
	|| dhcpfo.type > 12 || dhcpfo.optioncode > 29)'

# capture_look SERVER - everybody's faults and messages, each line with who sent it. Both are read at
# one time, and once for each recording.
capture_look() {
	local file
	file=$(capture_file "$1")
	[ ! "$file.messages" -nt "$file" ] || return 0
	capture_read "$1" "($CAPTURE_BAD) || ($CAPTURE_STRAY)" ip.src \
		frame.number frame.protocols dhcpfo.type dhcpfo.optioncode _ws.expert.message >"$file.faults" &
	capture_read "$1" dhcpfo ip.src dhcpfo.type >"$file.messages"
	wait $!
}
capture_of() { awk -F '\t' -v from="$3" '$1 == from' "$(capture_file "$1").$2" | cut -f 2-; } # SERVER WHAT ADDRESS

# capture_decodes SERVER ADDRESS - true when every message from this address was understood
capture_decodes() {
	local faults
	capture_possible || { echo "      (not looked at: tshark is not installed)"; return 0; }
	capture_look "$1"
	faults=$(capture_of "$1" faults "$2")
	[ -z "$faults" ] || { echo "      not decoded (frame, protocols, types, options, why):"; head -n 10 <<<"$faults"; return 1; }
	[ -n "$(capture_of "$1" messages "$2")" ] || { echo "      no message from $2 was seen"; return 1; }
}

# --- what one server says to a partner that is not ours -------------------------------------------
# Its side alone, and no more than the beginning of it: floods are long. The dissector gets nothing
# of what it answers to.
CAPTURE_OWN_BOUNDS=(-a packets:40000 -a filesize:60000)

capture_own_start() { # SERVER
	local say='(ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] & 240) >> 2)) != 0' file
	capture_possible || return 0
	file=$(capture_file "own$1")
	rm -f "$file" "$NET_TMP/capture-own$1.log"
	net_spawn "capture-own$1" "s$1" dumpcap -q -B 64 "${CAPTURE_OWN_BOUNDS[@]}" -i eth1 -w "$file" \
		-f "tcp port 647 and src host ${NET_LINK_ADDR[$1]} and (tcp[tcpflags] & (tcp-syn | tcp-fin | tcp-rst) != 0 or $say)"
	wait_for 10 test -s "$file"
}

# capture_own_stop SERVER - true when every message was understood. Frames that the kernel could not
# hand over are a gap that the dissector does not get over: then there is nothing to judge.
capture_own_stop() {
	local lost
	capture_possible || { echo "      (not looked at: tshark is not installed)"; return 0; }
	net_stop "capture-own$1"
	lost=$(sed -n 's,^Packets received/dropped.*: [0-9]*/\([0-9]*\) .*,\1,p' "$NET_TMP/capture-own$1.log")
	[ "$lost" = 0 ] || { echo "      (not looked at: ${lost:-some} frames were not recorded)"; return 0; }
	capture_own_decodes "own$1"
}

capture_own_decodes() { # own<SERVER>
	local faults tails file
	file=$(capture_file "$1")
	capture_read "$1" "($CAPTURE_BAD) || ($CAPTURE_STRAY)" \
		tcp.stream frame.number frame.protocols dhcpfo.type dhcpfo.optioncode _ws.expert.message >"$file.faults" &
	capture_read "$1" "tcp.len > 0 && !tcp.analysis.retransmission && !tcp.analysis.keep_alive" \
		tcp.stream frame.number tcp.len dhcpfo.type >"$file.messages"
	wait $!
	echo "      $(cut -f 4 "$file.messages" | tr ',' '\n' | grep -c .) messages"
	tails=$(capture_tails <"$file.messages")
	faults=$(awk -F '\t' -v tails="$tails" '
		BEGIN { n = split(tails, f, " "); for (i = 1; i < n; i += 2) whole[f[i]] = f[i + 1] }
		!($1 in whole) || $2 <= whole[$1]' "$file.faults")
	[ -z "$faults" ] || { echo "      not decoded (stream, frame, protocols, types, options, why):"; head -n 10 <<<"$faults"; return 1; }
}

# What follows on the last whole message of a connection is the beginning of one that was cut off,
# by a reset or by the end of the recording, if it is shorter than the longest. Prints the number of
# each such connection, and that of the frame with its last whole message.
CAPTURE_MESSAGE_MAX=2048
capture_tails() {
	awk -F '\t' -v max=$CAPTURE_MESSAGE_MAX '
		!($1 in whole) { whole[$1] = 0 }
		$4 != "" { whole[$1] = $2; rest[$1] = 0; next }
		{ rest[$1] += $3 }
		END { for (s in whole) if (rest[s] < max) print s, whole[s] }' | xargs
}
