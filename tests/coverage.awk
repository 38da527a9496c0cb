# coverage.awk: adds up what `llvm-cov show` says of one header for several programs,
# takes off what the exclusions list, prints the sums and everything not covered.
#     awk -v header=vts.h -f tests/coverage.awk tests/coverage_exclusions show.txt
#
# A place is a line, one way of a branch, or a condition of a decision (MC/DC). It is
# covered if one program covers it. Its name holds no line number: the function, what
# it is, its number on its line; with the text of the line that tells places apart.

FILENAME == ARGV[1] { read_exclusion(); next }
/^ *[0-9]+\|/ { read_line(); next }
/Branch \([0-9]+:[0-9]+\): \[/ { read_branch(); next }
/MC\/DC Decision Region/ { read_decision(); next }
/C[0-9]+-Pair: / { read_condition() }

END {
    if (!places) { fail("coverage " header ": nothing was measured"); exit 1 }
    apply_exclusions()
    sum("line", "lines")
    sum("branch", "branches")
    sum("mcdc", "MC/DC")
    exit bad
}

function trim(s) {
    gsub(/^[ \t]+|[ \t\\]+$/, "", s)
    return s
}

function fail(text) { print "not ok " text; bad = 1 }

# ---- exclusions: the head of their file says how they are written ----

function read_exclusion() {
    if (/^#/ || /^[ \t]*$/) return
    if (/^[^ ]/) {
        mine = $1 == header
        if (mine) read_names()
    } else if (mine && /^ *why: /) {
        reason[entries] = trim(substr($0, index($0, "why: ") + 5))
    } else if (mine && !(entries in reason)) {
        excluded_text[entries, ++text_lines[entries]] = trim($0)
    }
}

# "HEADER FUNCTION branch 1 true, mcdc 1": each is an exclusion of the same entry.
function read_names(    what, count, i, prefix) {
    entries++
    prefix = $2
    sub(/^[^ ]+ +[^ ]+ +/, "")
    count = split($0, what, /, */)
    for (i = 1; i <= count; i++) {
        wanted[++exclusions] = prefix " " trim(what[i])
        entry_of[exclusions] = entries
    }
}

# The lines that end with this one are those of the entry.
function is_text(entry, line,    count, i) {
    count = text_lines[entry]
    for (i = 1; i <= count; i++)
        if (source[line - count + i] != excluded_text[entry, i]) return 0
    return count > 0
}

function apply_exclusions(    i, k, key, matches) {
    for (i = 1; i <= exclusions; i++) {
        matches = 0
        for (k = 1; k <= places; k++) {
            key = keys[k]
            if (name_of(key) != wanted[i] || !is_text(entry_of[i], line_of[key])) continue
            matches++
            excluded[key] = 1
            if (key in hit) complain(i, "is covered, line " line_of[key])
        }
        if (matches == 0) complain(i, "names nothing that is there")
        if (length(reason[entry_of[i]]) < 10) complain(i, "has no reason")
    }
}

function complain(i, text,    entry) {
    entry = entry_of[i]
    fail("coverage exclusion in " header " of " wanted[i] ": it " text)
    print "    " excluded_text[entry, text_lines[entry]]
}

# ---- what llvm-cov shows ----

# "  12|  3.4k|text" outside of macro expansions. A line of a brace alone is none.
function read_line(    part, text) {
    split($0, part, "|")
    at = part[1] + 0
    nested = 0
    text = substr($0, length(part[1]) + length(part[2]) + 3)
    if (at == 1) function_name = ""
    if (!(at in source)) {
        name_function(text)
        source[at] = trim(text)
        owner[at] = function_name
    }
    gsub(/ /, "", part[2])
    if (part[2] == "" || source[at] ~ /^[{}]$/) return
    place("line", at, at, "", part[2] != "0")
}

# The name before the first parenthesis of a line that begins at the margin; the
# functions of a macro are the macro's.
function name_function(text) {
    if (text !~ /^([a-z_A-Z]|#define )[^;=]*\(/) return
    sub(/^#define /, "", text)
    sub(/\(.*/, "", text)
    sub(/.*[^a-zA-Z_0-9]/, "", text)
    function_name = text
}

# How many bars stand before the text: one outside of macro expansions.
function depth(    bars) {
    bars = $0
    sub(/[^ |].*/, "", bars)
    return gsub(/\|/, "", bars)
}

# Outside of expansions a position is a name; inside, several share it: they are counted.
function position(    text) {
    text = $0
    match(text, /\([0-9]+:[0-9]+\)/)
    text = substr(text, RSTART, RLENGTH)
    return depth() == 1 ? text : text "#" ++nested
}

function read_branch(    where) {
    where = position()
    if (/Folded/) return
    place("branch", at, where "T", "true", $0 !~ /True: 0[,\]]/)
    place("branch", at, where "F", "false", $0 !~ /False: 0[,\]]/)
}

# It is shown behind its last line and belongs to its first.
function read_decision() {
    sub(/--->/, "  ")
    decision = position()
    decision_at = depth() == 1 ? substr(decision, 2) + 0 : at
}

function read_condition(    number) {
    if (/constant folded/) return
    match($0, /C[0-9]+-Pair/)
    number = substr($0, RSTART + 1, RLENGTH - 6)
    place("mcdc", decision_at, decision "C" number, "", $0 ~ /: covered/)
}

# ---- places ----

function place(kind, line, key, way, covered) {
    key = kind " " line " " key
    if (!(key in kind_of)) {
        keys[++places] = key
        kind_of[key] = kind
        line_of[key] = line
        way_of[key] = way
        number_of[key] = way == "false" ? on_line[kind, line] : ++on_line[kind, line]
    }
    if (covered) hit[key] = 1
}

# As an exclusion writes it.
function name_of(key,    kind, name) {
    kind = kind_of[key]
    name = owner[line_of[key]] " " kind
    if (kind != "line") name = name " " number_of[key]
    return way_of[key] != "" ? name " " way_of[key] : name
}

function sum(kind, title,    k, key, total, covered, left_out, text, without) {
    for (k = 1; k <= places; k++) {
        key = keys[k]
        if (kind_of[key] != kind) continue
        if (key in excluded && !(key in hit)) { left_out++; continue }
        total++
        if (key in hit) covered++
    }
    text = "coverage " header " " title
    without = left_out ? ", " left_out " excluded" : ""
    if (covered == total) {
        print "ok " text " 100 % (" total + 0 without ")"
        return
    }
    fail(sprintf("%s %.2f %% (%d of %d%s)", text, int(10000 * covered / total) / 100,
                 covered, total, without))
    for (k = 1; k <= places; k++) {
        key = keys[k]
        if (kind_of[key] != kind || key in hit || key in excluded) continue
        printf "    %s:%d: %s\n        %s\n", header, line_of[key], name_of(key),
            source[line_of[key]]
    }
}
