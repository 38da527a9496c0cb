# The order mutants of a header: each acquire and each release at each call site.
#
#     awk -f orders.awk HEADER              lists their names
#     awk -v name=NAME -f orders.awk HEADER prints the header with that one weakened
#
# A name is FUNCTION/OPERATION-N/WHAT: the Nth such call of the function.
function site(call, count,    ways, way, parts, n, i, weaker) {
    n = split(weakenings[call], ways, " ")
    weaker = ""
    for (i = 1; i <= n; i++) {
        split(ways[i], parts, "=")
        way = current "/" kinds[call] "-" count "/" parts[1]
        if (name == "") print way
        else if (name == way) weaker = parts[2]
    }
    return weaker
}

BEGIN {
    kinds["load_acq"] = "load"; weakenings["load_acq"] = "relaxed=load_rlx"
    kinds["store_rel"] = "store"; weakenings["store_rel"] = "relaxed=store_rlx"
    kinds["cas_acq_rel"] = "cas"
    weakenings["cas_acq_rel"] = "no-acquire=cas_rel no-release=cas_acq failure-relaxed=cas_fail_rlx"
    kinds["xchg_acq_rel"] = "xchg"
    weakenings["xchg_acq_rel"] = "no-acquire=xchg_rel no-release=xchg_acq"
    kinds["add_acq_rel"] = "add"
    weakenings["add_acq_rel"] = "no-acquire=add_rel no-release=add_acq"
}

/^[a-zA-Z]/ {
    if (match($0, /[a-z_0-9]+\(/)) current = substr($0, RSTART, RLENGTH - 1)
    if (name != "") print
    next
}
{
    rest = $0; done = ""
    while (match(rest, /vts__[a-z_]+\(/)) {
        call = substr(rest, RSTART + 5, RLENGTH - 6)
        weaker = ""
        if (call in kinds) weaker = site(call, ++seen[current, call])
        if (weaker != "") found = 1
        done = done substr(rest, 1, RSTART - 1) "vts__" (weaker != "" ? weaker : call) "("
        rest = substr(rest, RSTART + RLENGTH)
    }
    if (name != "") print done rest
}
END { if (name != "" && !found) exit 1 }
