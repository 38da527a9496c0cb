# Common to the test scripts: one line per test, `ok NAME`, `not ok NAME` or
# `skip NAME: reason`; what a failing one printed follows, indented.
CC=${CC:-cc}
OUT=${OUT:-build/check}
WARN="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual"
WARN_C="$WARN -Wstrict-prototypes -Wmissing-prototypes"
HWLOC="$(pkg-config --cflags hwloc 2>/dev/null || true)"
mkdir -p "$OUT"

have() { command -v "$1" >/dev/null 2>&1; }

# try NAME COMMAND...: ok if the command succeeds.
try() {
    try_name=$1
    shift
    if "$@" >"$OUT/try.log" 2>&1; then
        echo "ok $try_name"
    else
        echo "not ok $try_name"
        sed 's/^/    /' "$OUT/try.log" | head -n 40
        return 1
    fi
}

# refuse NAME TEXT COMMAND...: ok if the command fails and says TEXT.
refuse() {
    refuse_name=$1
    refuse_text=$2
    shift 2
    if ! "$@" >"$OUT/try.log" 2>&1 && grep -q -e "$refuse_text" "$OUT/try.log"; then
        echo "ok $refuse_name"
    else
        echo "not ok $refuse_name (wanted a failure that says: $refuse_text)"
        sed 's/^/    /' "$OUT/try.log" | head -n 20
    fi
}
