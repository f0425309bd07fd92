# shellcheck shell=bash
# install.sh - what building and testing need, from Debian's own packages (12 and 13).
# Only what is missing is installed, and services that come with a package are not started.

BUILD_PACKAGES="gcc make libc6-dev linux-libc-dev pkg-config clang llvm bpftool libbpf-dev libelf-dev
	zlib1g-dev libssl-dev libevent-dev libjansson-dev libyaml-dev liblmdb-dev
	libcap-dev"
TEST_PACKAGES="libcmocka-dev iproute2 util-linux jq curl isc-dhcp-client udhcpc"
# Tests that find one of these missing are skipped and say so; libclang-rt-dev is for "make fuzz".
OPTIONAL_PACKAGES="isc-dhcp-relay isc-dhcp-server tshark python3 podman runc libclang-rt-dev"

have_package() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
	local p
	for p; do have_package "$p" || echo "$p"; done
}

# A policy that forbids starting services, for the time of the installation only.
with_services_held() {
	local policy=/usr/sbin/policy-rc.d status
	[ ! -e $policy ] || { "$@"; return; }
	printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
	"$@"
	status=$?
	rm -f $policy
	return $status
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive with_services_held \
		apt-get -o Dpkg::Use-Pty=0 install -q -y --no-install-recommends "$@" </dev/null
}

# install_missing LOG [with-optional]
install_missing() {
	local log=$1 missing optional=() p
	# shellcheck disable=SC2046,SC2086
	mapfile -t missing < <(missing_of $BUILD_PACKAGES $TEST_PACKAGES)
	# shellcheck disable=SC2086
	[ "${2:-}" != with-optional ] || mapfile -t optional < <(missing_of $OPTIONAL_PACKAGES)
	[ $((${#missing[@]} + ${#optional[@]})) -gt 0 ] || return 0
	command -v apt-get >/dev/null || { echo "not Debian: install by hand: ${missing[*]}" >&2; return 1; }
	[ "$(id -u)" = 0 ] || { echo "to install ${missing[*]} ${optional[*]}: run as root" >&2; [ ${#missing[@]} = 0 ]; return; }
	mkdir -p "$(dirname "$log")"
	echo "installing: ${missing[*]} ${optional[*]}" >&2
	apt-get -q update >"$log" 2>&1
	if [ ${#missing[@]} -gt 0 ] && ! apt_install "${missing[@]}" >>"$log" 2>&1; then
		tail -n 20 "$log" >&2
		return 1
	fi
	for p in "${optional[@]}"; do
		apt_install "$p" >>"$log" 2>&1 || echo "$p cannot be installed here: its tests are skipped" >&2
	done
}
