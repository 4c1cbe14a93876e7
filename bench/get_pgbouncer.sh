#!/bin/sh
# Puts a recent PgBouncer under a folder of its own (default /opt/pgbouncer), taken from a newer Debian suite than the
# machine's, with the newer C library and OpenSSL that it was linked against. Nothing of the system is changed: apt reads
# a private source list and keeps private state, and packages are unpacked, not installed. Needs apt, dpkg-deb and Debian.
#
#   bench/get_pgbouncer.sh [FOLDER] [SUITE]        e.g.  bench/get_pgbouncer.sh /opt/pgbouncer testing
set -eu

prefix=${1:-/opt/pgbouncer}
suite=${2:-testing}
# What `ldd` names for this binary, and the packages that hold it.
packages="pgbouncer libc6 libcares2 libevent-2.1-7t64 libldap2 libsasl2-2 libpam0g libaudit1 libcap-ng0 libssl3t64
          libsystemd0 libcap2 libzstd1 libgcc-s1 zlib1g libcrypt1"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs"

# The Debian mirror that this machine already uses.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian$' | sort -u | head -n 1)
[ -n "$mirror" ] || { echo "get_pgbouncer: no Debian mirror in apt's sources" >&2; exit 1; }
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$work/list"

private_apt() {
    apt-get -q -o Dir::Etc::sourcelist="$work/list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$work/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User=root "$@"
}
private_apt update >/dev/null
# shellcheck disable=SC2086  # a list of package names
(cd "$work/debs" && private_apt download $packages >/dev/null)

mkdir -p "$prefix/root" "$prefix/bin"
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$prefix/root"; done

# The binary's own loader finds the libraries beside it, whatever C library the system has. `exec` keeps the process id,
# so CPU and memory are those of PgBouncer and no shell stays behind.
cat >"$prefix/bin/pgbouncer" <<WRAPPER
#!/bin/sh
root=$prefix/root
libraries=\$root/usr/lib/x86_64-linux-gnu:\$root/lib/x86_64-linux-gnu
exec "\$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "\$libraries" "\$root/usr/sbin/pgbouncer" "\$@"
WRAPPER
chmod 755 "$prefix/bin/pgbouncer"
"$prefix/bin/pgbouncer" --version
