#!/bin/sh
# Installs Debian packages without asking; elsewhere says what to install.
set -eu
missing=
if command -v dpkg-query >/dev/null 2>&1; then
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    cat >&2 <<'END'
This machine has no apt-get. Install a C compiler, make, pkg-config and

  Fedora    dnf install hwloc-devel libcmocka-devel clang libasan libubsan libtsan
            liburing-devel
  Alpine    apk add build-base pkgconf hwloc-dev cmocka-dev clang liburing-dev
  macOS     brew install hwloc cmocka pkg-config

then run the other target of your command on its own, for example: make demo
END
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends --no-remove $missing
