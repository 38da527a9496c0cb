# The mutants of *.mutants files (see tests/mutants.sh for the format).
#
#     awk -f apply.awk FILE...                        a line each: NAME HEADER PROGRAM TEST
#     awk -v name=NAME -f apply.awk FILE... HEADER    prints the mutated header
#
# A hunk that does not stand in the header exactly once is stale: exit status 1.
function is_wanted() { return name != "" && mutant == name }

function list_last() {
    if (name == "" && mutant != "") print mutant, header, killed
    killed = "none"
}

FNR == 1 { in_header = name != "" && FILENAME !~ /\.mutants$/; if (!in_header) list_last(); mutant = "" }
in_header { text = text "\n" $0; next }

/^#/ || /^$/ { next }
/^header / { header = $2; next }
/^mutant / { list_last(); mutant = $2; if (is_wanted()) hunks = 1; next }
/^why / { next }
/^killed / { killed = substr($0, 8); sub(/^ +/, "", killed); next }
/^@@$/ { if (is_wanted()) hunks++; next }
/^[-+ ]/ {
    if (!is_wanted()) next
    line = substr($0, 2)
    if (/^[- ]/) old[hunks] = old[hunks] "\n" line
    if (/^[+ ]/) new[hunks] = new[hunks] "\n" line
    next
}
{ print FILENAME ":" FNR ": not understood: " $0 >"/dev/stderr"; bad = 1; exit 1 }

function replace(hunk,    at, rest) {
    at = index(text, old[hunk] "\n")
    rest = at ? substr(text, at + length(old[hunk])) : ""
    if (old[hunk] == "" || !at || index(rest, old[hunk] "\n")) {
        print "stale: hunk " hunk (at ? " stands more than once" : " is not there") >"/dev/stderr"
        bad = 1
        return
    }
    text = substr(text, 1, at - 1) new[hunk] rest
}

END {
    if (bad) exit 1
    if (name == "") { list_last(); exit }
    text = text "\n"
    for (hunk = 1; hunk <= hunks; hunk++) replace(hunk)
    if (!hunks || bad) exit 1
    printf "%s", substr(text, 2)
}
