# shellcheck shell=bash
# lib.sh - what the tests of this folder have in common: reasons to skip, checks, the pair.
# A test prints what it checks and exits 0, 1 or 77 (skipped, the reason is the last line).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tools/lib/net.sh
. tools/lib/servers.sh
. tools/lib/capture.sh
FAILED=0

skip() { echo "$*"; exit 77; }
need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
need_command() { local c; for c; do command -v "$c" >/dev/null || skip "$c is not installed"; done; }
need_built() { local p; for p; do [ -x "$B/$p" ] || skip "$B/$p is not built"; done; }

start_network() {
	need_root
	need_command ip nsenter jq
	need_built twinleased twinctl twinbench
	net_init
	ip netns add "${NET_ID}x" 2>/dev/null || skip "network namespaces cannot be made here"
	ip netns del "${NET_ID}x"
	net_bpffs || { FILTER=off; echo "no bpffs can be mounted: filter off"; }
	net_up
}

check() { # TEXT COMMAND... - one line per check
	local text=$1
	shift
	if "$@"; then echo "ok    $text"; else echo "WRONG $text"; FAILED=$((FAILED + 1)); fi
}
equal() { [ "$1" = "$2" ] || { echo "      is '$1', should be '$2'"; return 1; }; }
at_most() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }' || { echo "      is $1, at most $2"; return 1; }; }
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }' || { echo "      is $1, at least $2"; return 1; }; }
field() { jq -r "$2" <<<"$1"; } # JSON FILTER
must() { "$@" || finish_now "failed: $*"; }
finish_now() { echo "WRONG $1"; logs; exit 1; }

logs() { # the ends of the servers' logs
	local f
	for f in "$NET_TMP"/s?.log; do
		[ -e "$f" ] && { echo "--- the end of $f"; tail -n 15 "$f"; }
	done
}
# What our servers say to each other is read by a decoder that is not ours, in every test that has a
# pair in order; CAPTURE=off where it cannot be read. Called by pair_up, and by tests that start a
# pair in another way before the first of the two speaks.
before_pair() { # [SERVER] - that records the link
	[ "${CAPTURE:-on}" = off ] || net_alive "capture${1:-1}" || capture_start "${1:-1}"
}
link_decodes() { # [SERVER [NUMBER=ADDRESS...]] - ends the capture; those who speak, if not servers 1 and 2
	local at=${1:-1} speaker
	net_alive "capture$at" || return 0
	capture_stop "$at"
	[ $# -gt 1 ] || set -- "$at" "1=${NET_LINK_ADDR[1]}" "2=${NET_LINK_ADDR[2]}"
	for speaker in "${@:2}"; do
		check "tshark decodes every message that server ${speaker%=*} sent" \
			capture_decodes "$at" "${speaker#*=}"
	done
}

finish() {
	link_decodes
	[ "$FAILED" = 0 ] && exit 0
	logs
	echo "$FAILED checks went wrong"
	exit 1
}
