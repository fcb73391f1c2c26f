#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Make sure that the tools of the named groups are there.
#
#   ci/deps.sh GROUP...     build run tests mount linux peers clang memcheck style check coverage fuzz perf
#
# A tool counts as present when it works, wherever it came from; only what is missing is asked of
# apt. Exit 0: all is there. Exit 2: it is not, and one line says what is needed. INSTALL=no
# forbids the installation.
set -eu
# Debian keeps mke2fs where the PATH of an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

cc=${GCC:-gcc}
clang=${CLANG:-clang}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 2' HUP INT TERM

have() {
	command -v "$1" >/dev/null 2>&1
}

# links COMPILER... : does the program on standard input compile and link?
# ${cc} and ${clang} may be several words ("ccache gcc"), so they stay unquoted here.
links() {
	cat >"$tmp/probe.c"
	"$@" -o "$tmp/probe" "$tmp/probe.c" >/dev/null 2>&1
}

# shellcheck disable=SC2086
has_libc() {
	echo 'int main(void) { return 0; }' | links $cc -include stdio.h -pthread
}

# shellcheck disable=SC2086
has_linux_headers() {
	echo 'int main(void) { return 0; }' |
		links $cc -include linux/virtio_ring.h -include linux/virtio_blk.h
}

# shellcheck disable=SC2086
has_seccomp() {
	echo 'int main(void) { return seccomp_api_get() == 0; }' |
		links $cc -include seccomp.h -Wl,--no-as-needed -lseccomp
}

# shellcheck disable=SC2086
has_cmocka() {
	links $cc -Wl,--no-as-needed -lcmocka <<-'EOF'
		#include <setjmp.h>
		#include <stdarg.h>
		#include <stddef.h>
		#include <stdint.h>
		#include <cmocka.h>
		int main(void)
		{
			return 0;
		}
	EOF
}

# shellcheck disable=SC2086
has_clang_runtime() {
	echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		links $clang -fsanitize=fuzzer,address,undefined
}

# need PACKAGE TEST... : remember the package if the test fails.
need() {
	package=$1
	shift
	"$@" && return
	case " $missing " in
	*" $package "*) ;;
	*) missing="${missing:+$missing }$package" ;;
	esac
}

# An image needs mke2fs and e2fsck; debugfs compares what is inside without a mount.
e2fsprogs() {
	have mke2fs && have e2fsck && have debugfs
}

# Linux as a process, with the modules that drive our devices.
uml() {
	have linux.uml && [ -n "$(find /usr/lib/uml/modules -name virtiofs.ko 2>/dev/null)" ]
}

# For a guest that has no library at first; one that is linked dynamically needs some.
static_busybox() {
	have busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1
}

# Debian's package brings both; newer releases have no virtiofsd in it.
peer_programs() {
	have qemu-storage-daemon
}

# ${cc%% *}: the command itself, without its arguments.
group() {
	case $1 in
	build)
		need gcc have "${cc%% *}"
		need make have make
		need libc6-dev has_libc
		need linux-libc-dev has_linux_headers
		need libseccomp-dev has_seccomp
		;;
	run)
		need e2fsprogs e2fsprogs
		need coreutils have sha256sum
		;;
	tests)
		need libcmocka-dev has_cmocka
		need e2fsprogs e2fsprogs
		need coreutils have timeout
		;;
	mount)
		need git have git
		need tar have tar
		need sqlite3 have sqlite3
		need fio have fio
		need stress-ng have stress-ng
		need attr have setfattr
		need acl have setfacl
		;;
	linux)
		need user-mode-linux uml
		need busybox-static static_busybox
		need e2fsprogs e2fsprogs
		need git have git
		need tar have tar
		need sqlite3 have sqlite3
		need fio have fio
		need attr have setfattr
		need acl have setfacl
		;;
	peers)
		need qemu-system-common peer_programs
		need coreutils have timeout
		;;
	clang)
		need clang have "${clang%% *}"
		need libclang-rt-dev has_clang_runtime
		;;
	memcheck) need valgrind have valgrind ;;
	style) need clang-format have clang-format ;;
	coverage) need gcovr have gcovr ;;
	perf)
		need valgrind have valgrind
		need gnuplot-nox have gnuplot
		;;
	*)
		echo "deps: no group '$1'" >&2
		exit 2
		;;
	esac
}

# A group that is made of others, taken apart.
expand() {
	case $1 in
	check) echo tests clang memcheck style ;;
	coverage) echo tests coverage ;;
	fuzz) echo clang ;;
	*) echo "$1" ;;
	esac
}

find_missing() {
	missing=
	for outer; do
		for inner in $(expand "$outer"); do
			group "$inner"
		done
	done
}

give_up() {
	echo "needs: $missing (apt-get install $missing)${1:+: $1}" >&2
	exit 2
}

apt_get() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" \
		>>"$tmp/apt.log" 2>&1
}

# Packages differ between releases (before Debian 12 the run-time of clang came with clang), so ask
# only for what this release has; the second look decides.
known() {
	for package in $missing; do
		if apt-cache show "$package" >/dev/null 2>&1; then
			echo "$package"
		fi
	done
}

install_missing() {
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		have sudo || give_up "not root, and no sudo"
		sudo=sudo
		# Without a terminal a question for the password would hang.
		[ -t 0 ] || sudo="sudo -n"
	fi
	echo "deps: installing $missing"
	for package in $missing; do
		apt-cache show "$package" >/dev/null 2>&1 && continue
		apt_get update || true
		break
	done
	packages=$(known)
	# Lists that are older than the mirror name files that are gone: refresh and try again.
	# shellcheck disable=SC2086
	if ! apt_get install -y --no-install-recommends $packages; then
		apt_get update || true
		apt_get install -y --no-install-recommends $packages || {
			tail -n 5 "$tmp/apt.log" >&2
			give_up "apt-get failed"
		}
	fi
}

find_missing "$@"
[ -n "$missing" ] || exit 0
[ "${INSTALL:-yes}" != no ] || give_up
have apt-get || give_up "no apt-get here"
install_missing
find_missing "$@"
[ -z "$missing" ] || give_up "still missing after the installation"
