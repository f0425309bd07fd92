# shellcheck shell=bash disable=SC2034
# net.sh - a private network for two servers and their clients, for the tests and the demo.
#
#   <id>c  <id>c1 <id>c2   direct clients: eth0 without an address
#   <id>l                  load: a relay played by twinbench, 10.77.0.6, giaddr 10.64.0.1
#   <id>r ---- <id>d       a real relay (10.77.0.5, 10.78.0.1) and a client behind it
#      \  |  /
#       <id>b             bridge br0: the segment 10.77.0.0/16; bridge br1: the failover link
#      /     \
#   <id>s1   <id>s2       servers: eth0 10.77.0.1, .2 on the segment; eth1 10.99.0.1, .2 on br1
#
# For measurements (net_up_direct) a cable each instead of bridges, whose work would be charged to
# whoever sends:  l (to1, to2) ---- eth0 of s1, s2 ;  eth1 of s1 ---- eth1 of s2
#
# Everything is made in namespaces of its own and removed in every case: the trap is set before
# the first of them exists. Only processes started by net_spawn are ever ended.

NET_SERVER_ADDR=(- 10.77.0.1 10.77.0.2)
NET_LINK_ADDR=(- 10.99.0.1 10.99.0.2)
NET_GIADDR=10.64.0.1
declare -A NET_PID=()

net_say() { printf '%s\n' "$*" >&2; }
net_die() { net_say "error: $*"; exit 1; }

# net_init - identifier, directory for everything temporary, clean-up. NET_KEEP=1 keeps it all.
net_init() {
	NET_NAMESPACES=() NET_MOUNTS=() NET_TMP=""
	trap net_down EXIT
	trap 'exit 130' INT TERM HUP
	NET_TMP=$(mktemp -d "${TMPDIR:-/tmp}/twinlease-XXXXXX") || exit 1
	NET_ID=tl${NET_TMP##*-} # nobody else's, as the directory is: other networks may be beside this one
	chmod 755 "$NET_TMP"
	# The store refuses an overlay, which is what / is in many containers.
	case $(stat -f -c %T "$NET_TMP") in
	overlay*) net_mount tmpfs "$NET_TMP" ;;
	esac
	mkdir "$NET_TMP/bpf"
}

net_mount() { # TYPE DIRECTORY
	mount -t "$1" "$1" "$2" && NET_MOUNTS=("$2" "${NET_MOUNTS[@]}")
}

# A file system for pins of our own: nothing is left in /sys/fs/bpf.
net_bpffs() { net_mount bpf "$NET_TMP/bpf"; }

net_down() {
	local status=$? ns m
	trap - EXIT
	trap '' INT TERM HUP # a second one would leave the half of it
	if [ -n "${NET_KEEP:-}" ]; then
		net_leave
		exit "$status"
	fi
	net_kill_all
	for ns in "${NET_NAMESPACES[@]}"; do ip netns del "$ns" 2>/dev/null; done
	for m in "${NET_MOUNTS[@]}"; do umount "$m" 2>/dev/null || umount -l "$m" 2>/dev/null; done
	rm -rf "$NET_TMP"
	exit "$status"
}

# Everything stays; what removes it is written down.
net_leave() {
	{
		echo '#!/bin/sh'
		# by namespace, not by number: a number may be somebody else's when this runs
		echo "ours() { for ns in ${NET_NAMESPACES[*]}; do ip netns pids \$ns 2>/dev/null; done; }"
		cat <<-'E'
			for signal in CONT TERM; do kill -$signal $(ours) 2>/dev/null; done
			n=0
			while [ -n "$(ours)" ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done
			kill -KILL $(ours) 2>/dev/null
		E
		for ns in "${NET_NAMESPACES[@]}"; do echo "ip netns del $ns"; done
		for m in "${NET_MOUNTS[@]}"; do echo "umount -l $m"; done
		echo "rm -rf $NET_TMP"
	} >"$NET_TMP/stop"
	chmod +x "$NET_TMP/stop"
}

net_kill_all() {
	local name pid
	for name in "${!NET_PID[@]}"; do
		pid=${NET_PID[$name]}
		kill -CONT "$pid" 2>/dev/null && kill "$pid" 2>/dev/null
	done
	for _ in {1..50}; do
		net_any_alive || break
		sleep 0.02
	done
	for name in "${!NET_PID[@]}"; do kill -9 "${NET_PID[$name]}" 2>/dev/null; done
	wait 2>/dev/null
}

net_any_alive() {
	local name
	for name in "${!NET_PID[@]}"; do kill -0 "${NET_PID[$name]}" 2>/dev/null && return 0; done
	return 1
}

# --- namespaces -----------------------------------------------------------------------------------

net_ns() { # NAME
	ip netns add "$NET_ID$1" || net_die "cannot make the namespace $NET_ID$1"
	NET_NAMESPACES+=("$NET_ID$1")
	net_in "$1" sh -c 'for f in all default; do
		echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done' 2>/dev/null
	net_ip "$1" link set lo up
}

# net_in NAME COMMAND... - in a namespace; mounts stay as they are ("ip netns exec" hides /sys/fs/bpf)
net_in() { local ns=$1; shift; nsenter --net="/run/netns/$NET_ID$ns" -- "$@"; }
# ("ip -n" remounts as well, and fails where / is no mount point, as in a chroot)
net_ip() { local ns=$1; shift; net_in "$ns" ip "$@"; }

net_bridge() { # NAME
	net_ip b link add "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0 || return 1
	net_ip b link set "$1" up
}

# net_port NAMESPACE INTERFACE BRIDGE [ADDRESS/LENGTH] - its other end is NAMESPACE-INTERFACE
net_port() {
	net_ip b link add "$1-$2" type veth peer name "$2" netns "$NET_ID$1" || return 1
	net_ip b link set "$1-$2" master "$3" up
	net_ip "$1" link set "$2" up
	[ -z "${4:-}" ] || net_ip "$1" addr add "$4" brd + dev "$2"
}

net_up() {
	local i
	net_ns b
	if ! net_bridge br0 || ! net_bridge br1; then net_die "this kernel has no bridge"; fi
	for i in 1 2; do
		net_ns s$i
		net_port s$i eth0 br0 "${NET_SERVER_ADDR[$i]}/16"
		net_port s$i eth1 br1 "${NET_LINK_ADDR[$i]}/24"
		net_ip s$i route add 10.64.0.0/13 via 10.77.0.6
		net_ip s$i route add 10.78.0.0/24 via 10.77.0.5
	done
	net_ns l
	net_port l eth0 br0 10.77.0.6/16
	# the whole subnet of the simulated clients is local: they renew from their own addresses
	net_ip l addr add $NET_GIADDR/32 dev lo
	net_ip l route add local 10.64.0.0/13 dev lo
	for i in c c1 c2; do net_ns $i; net_port $i eth0 br0; done
}

# net_cable_between NAMESPACE INTERFACE NAMESPACE INTERFACE
net_cable_between() {
	net_ip "$1" link add "$2" type veth peer name "$4" netns "$NET_ID$3" || return 1
	net_ip "$1" link set "$2" up
	net_ip "$3" link set "$4" up
}

# The load and the servers alone, the same addresses as on the segment.
net_up_direct() {
	local i
	net_ns l
	net_ip l addr add 10.77.0.6/32 dev lo
	net_ip l addr add $NET_GIADDR/32 dev lo
	net_ip l route add local 10.64.0.0/13 dev lo
	for i in 1 2; do
		net_ns s$i
		net_cable_between l to$i s$i eth0
		net_ip l route add "${NET_SERVER_ADDR[$i]}" dev to$i src 10.77.0.6
		net_ip s$i addr add "${NET_SERVER_ADDR[$i]}/16" brd + dev eth0
		net_ip s$i route add 10.64.0.0/13 via 10.77.0.6
	done
	net_cable_between s1 eth1 s2 eth1
	for i in 1 2; do net_ip s$i addr add "${NET_LINK_ADDR[$i]}/24" brd + dev eth1; done
}

# The second segment with a real relay; only where dhcrelay is installed.
net_relay_up() {
	net_ns r
	net_port r eth0 br0 10.77.0.5/16
	net_ns d
	net_ip r link add eth1 type veth peer name eth0 netns "${NET_ID}d"
	net_ip r link set eth1 up
	net_ip r addr add 10.78.0.1/24 brd + dev eth1
	net_ip d link set eth0 up
	net_in r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	net_spawn relay r dhcrelay -4 -d -iu eth0 -id eth1 "${NET_SERVER_ADDR[1]}" "${NET_SERVER_ADDR[2]}"
}

# net_cable SERVER INTERFACE up|down - cut or mend: the other end sees silence, no FIN
net_cable() { net_ip b link set "s$1-$2" "$3"; }
net_cut_server() { net_cable "$1" eth0 down; net_cable "$1" eth1 down; }
net_mend_server() { net_cable "$1" eth0 up; net_cable "$1" eth1 up; }

# --- processes ------------------------------------------------------------------------------------

# net_spawn NAME NAMESPACE COMMAND... - in the background; output is added to $NET_TMP/NAME.log
net_spawn() {
	local name=$1 ns=$2
	shift 2
	nsenter --net="/run/netns/$NET_ID$ns" -- "$@" >>"$NET_TMP/$name.log" 2>&1 </dev/null &
	NET_PID[$name]=$!
	disown "${NET_PID[$name]}"
}

net_alive() { [ -n "${NET_PID[$1]:-}" ] && kill -0 "${NET_PID[$1]}" 2>/dev/null; }
net_dead() { ! net_alive "$1"; }
net_signal() { kill "-$2" "${NET_PID[$1]}"; } # NAME SIGNAL

net_stop() { # NAME [SIGNAL] - and wait until it is gone
	net_alive "$1" || return 0
	kill "-${2:-TERM}" "${NET_PID[$1]}"
	wait_for 10 net_dead "$1" || net_die "$1 does not end"
	unset "NET_PID[$1]"
}

# wait_for SECONDS COMMAND... - until it succeeds, tried every LOOK_EVERY seconds; 1 when the time is over
wait_for() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep "${LOOK_EVERY:-0.02}"
	done
}

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo "${t%???}"; }
