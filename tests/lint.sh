#!/bin/sh
# What a compiler does not look at: the headers' contents lists, lengths of lines and
# functions, options of the implementation in the public part.
. tests/lib.sh

contents_match() {
    awk '
        /CONTENTS/ { listing = 1 }
        /^   ----/ { listing = 0 }
        listing && match($0, />>[a-z_]+/) { listed[substr($0, RSTART, RLENGTH)] = 1 }
        !listing && match($0, /^(\/\/|  ) >>[a-z_]+$/) {
            mark = substr($0, RSTART + 3, RLENGTH - 3); found[mark]++
        }
        END {
            for (mark in listed) if (found[mark] != 1) { bad = 1
                print mark " is listed and stands " found[mark] + 0 " times" }
            for (mark in found) if (!(mark in listed)) { bad = 1
                print mark " is not listed" }
            exit bad
        }' "$1"
}

lines_fit() {
    awk 'length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns"; bad = 1 }
         /[ \t]$/ { print FILENAME ":" FNR ": blank at the end"; bad = 1 }
         /^\t/ && FILENAME !~ /Makefile/ { print FILENAME ":" FNR ": tab"; bad = 1 }
         END { exit bad }' "$@"
}

# A function begins at column 0 with { and ends with } there.
functions_fit() {
    awk '/^\{/ { start = FNR } /^\}/ && start {
             n = FNR - start - 1; start = 0; total++; length_of[n]++
             if (n > 60) { print FILENAME ":" FNR ": function of " n " lines"; bad = 1 } }
         END { for (i = 0; seen < total * 0.95; i++) seen += length_of[i]
               for (m = 0; half < total * 0.5; m++) half += length_of[m]
               print total " functions, median " m - 1 ", 95 % below " i " lines"
               if (i > 40) bad = 1; exit bad }' "$1"
}

# Options of the implementation alone must not change what a user file sees.
public_part_is_fixed() {
    found=$(sed '/^#endif.*VTS.*_H/q' "$1" | sed 's;/\*.*\*/;;' |
        awk '/\/\*/ { comment = 1 } !comment { print } /\*\// { comment = 0 }' |
        grep -E 'VTS_(SINGLE_THREADED|CRITICAL_|ATOMICS_HEADER)|NDEBUG')
    echo "$found"
    [ -z "$found" ]
}

no_if_inside_functions() {
    awk '/^\{/ { inside = 1 } /^\}/ { inside = 0 }
         inside && /^ *# *(if|else|elif)/ { print FILENAME ":" FNR ": " $0; bad = 1 }
         END { exit bad }' "$1"
}

for header in vts.h vts_pcmon.h vts_socket.h; do
    [ -f $header ] || continue
    try "$header: contents match the marks" contents_match $header
    try "$header: lengths of functions" functions_fit $header
    try "$header: options stay out of the public part" public_part_is_fixed $header
    try "$header: no #if inside a function" no_if_inside_functions $header
done
# shellcheck disable=SC2046
try "lines fit" lines_fit $(find . -path ./build -prune -o \( -name '*.[ch]' -o -name '*.sh' \
    -o -name '*.cpp' -o -name Makefile \) -print)
try "sources name nobody's machine" sh -c \
    "! grep -rnE '/(home|root|work|Users)/' --include='*.[ch]' --include='*.sh' \
     --include='*.md' --include=Makefile . --exclude-dir=build --exclude-dir=.git"
