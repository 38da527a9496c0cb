#!/bin/sh
# Installs CBMC 6 or later: the distribution's own if it has one, else (Debian 12) that of
# Debian 13 into build/tools/cbmc, with the libraries it wants beside it. Changes nothing
# where CBMC is there already. Where there is none to be had the gate skips, so that is
# said and is no failure.
set -eu
SUITE=trixie
PACKAGES="cbmc minisat libc6 libgcc-s1 libstdc++6 zlib1g"
TOOL=${BUILD:-build}/tools/cbmc
case $TOOL in /*) ;; *) TOOL=$PWD/$TOOL ;; esac

say() { echo "cbmc: $*"; }

# major VERSION: its number before the first dot; 0 of none.
major() {
    number=${1%%[!0-9]*}
    echo "${number:-0}"
}

# works COMMAND: it runs here and is new enough.
works() {
    version=$("$1" --version 2>/dev/null) || return 1
    [ "$(major "$version")" -ge 6 ]
}

# The first Debian mirror and the keyring that this machine's apt uses.
mirror() {
    apt-get indextargets --format '$(SITE) $(REPO_URI)' 'Created-By: Packages' |
        awk '$2 ~ /\/debian\/?$/ { print $2; exit }'
}

# Our own apt state: the machine's is left alone, signatures are checked all the same.
isolated_apt() {
    apt-get -qq -o Dir::State="$TOOL/apt" -o Dir::State::status="$TOOL/apt/status" \
        -o Dir::Cache="$TOOL/apt" -o Dir::Etc::sourcelist="$TOOL/apt/sources.list" \
        -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root "$@"
}

download() {
    mkdir -p "$TOOL/apt/lists/partial" "$TOOL/apt/archives/partial" "$TOOL/debs"
    : >"$TOOL/apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $SUITE main" \
        >"$TOOL/apt/sources.list"
    # shellcheck disable=SC2086
    isolated_apt update && cd "$TOOL/debs" && isolated_apt download $PACKAGES
}

unpack() {
    for deb in "$TOOL"/debs/*.deb; do
        dpkg-deb -x "$deb" "$TOOL/files" || return 1
    done
    rm -rf "$TOOL/debs" "$TOOL/apt"
}

# The programs start through their own loader: their libraries are newer than the
# machine's.
wrap() {
    loader=$(cd "$TOOL" && find files -name 'ld-linux*.so.*' | head -n 1)
    libraries=$(cd "$TOOL" && find files -name 'libstdc++.so.6' | head -n 1)
    [ -n "$loader" ] && [ -n "$libraries" ] || return 1
    for tool in cbmc goto-cc goto-instrument; do
        cat >"$TOOL/$tool" <<EOF
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
exec "\$here/$loader" --library-path "\$here/${libraries%/*}:\$here/files/usr/lib" \\
    "\$here/files/usr/bin/$tool" "\$@"
EOF
        chmod +x "$TOOL/$tool"
    done
}

fetch() {
    say "fetching that of Debian $SUITE into $TOOL (30 MB)"
    rm -rf "$TOOL"
    (download "$1") && unpack && wrap
}

give_up() {
    say "$*: the gate will skip"
    exit 0
}

for each in cbmc "$TOOL/cbmc"; do
    works "$each" && say "$version ($each) is there" && exit 0
done
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    give_up "no apt-get here; install CBMC 6 with your package manager"
candidate=$(apt-cache policy cbmc | awk '/Candidate:/ { print $2 }')
if [ "$(major "$candidate")" -ge 6 ]; then
    exec sh tests/install.sh cbmc
fi
site=$(mirror)
[ -n "$site" ] || give_up "this distribution has none and apt names no Debian mirror"
fetch "$site" || give_up "fetching it failed"
works "$TOOL/cbmc" || give_up "what was fetched does not run here"
say "$version ($TOOL/cbmc) is there now"
