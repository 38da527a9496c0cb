/* f_parse.c - every parser of the monitor's files. The first byte of an input names the
   file ('a' is the first of the table at the end), the rest is its text.

   Each text is parsed twice: from a block that ends with it, so that a read past the end
   is seen by the sanitizer, and from one that goes on with more digits and units: what
   lies behind the text must make no difference. What comes out is compared with a second
   reading by the C library's functions (strspn, strtoull, strtod, memmem, fnmatch). */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <fnmatch.h>

#include "fuzz.h"

/* Whatever a parser says, in one comparable block. */
typedef struct outcome {
    int64_t code[4];
    uint64_t number[16];
    double value[8];
    char text[128];
} outcome;

static const char tail[] = "99.9 kB\n999 cpu9 9 9 9 9\n-die-9_input";

// ----------------------------------------------------------------------------------
// The second reading. Texts are copied, so that a NUL ends them.
// ----------------------------------------------------------------------------------

#define DIGITS "0123456789"

static char *copy_of(const char *text, size_t length)
{
    char *copy = (char *)fuzz_need(malloc(length + 1));

    if (length > 0) memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

/* Digits at text; how many characters, 0 for none or too large a number. */
static size_t read_digits(const char *text, uint64_t *value)
{
    size_t digits = strspn(text, DIGITS);

    errno = 0;
    *value = digits > 0 ? strtoull(text, NULL, 10) : 0;
    return errno == ERANGE ? 0 : digits;
}

/* Blanks, sign, digits, blanks and newlines. */
static bool read_number(const char *text, size_t length, bool sign, bool *negative,
                        uint64_t *value)
{
    char *copy = copy_of(text, length), *at = copy + strspn(copy, " \t");
    size_t digits;
    bool whole;

    *negative = sign && *at == '-';
    if (*negative) at++;
    digits = read_digits(at, value);
    at += digits;
    at += strspn(at, " \t\n");
    whole = digits > 0 && at == copy + length;
    free(copy);
    return whole;
}

/* Digits, and a point with 1 to 6 more; how many characters, 0 if it is none. */
static size_t read_decimal(const char *text, double *value)
{
    static const double scale[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    size_t whole = strspn(text, DIGITS), fraction = 0, size = whole;
    char number[64];

    if (whole == 0) return 0;
    if (text[whole] == '.') {
        fraction = strspn(text + whole + 1, DIGITS);
        if (fraction == 0 || fraction > 6) return 0;
        size += 1 + fraction;
    }
    for (; *text == '0' && whole > 1; whole--) text++;
    if (whole > 12) return 0;
    memcpy(number, text, whole);
    number[whole] = '\0';
    if (strtod(number, NULL) >= floor(9007199254740992.0 / scale[fraction])) return 0;
    (void)snprintf(number + whole, sizeof number - whole, "%.*s",
                   fraction > 0 ? (int)fraction + 1 : 0, text + whole);
    *value = strtod(number, NULL);
    return size;
}

/* prefix, digits, suffix, and nothing else. */
static bool read_name(const char *text, size_t length, const char *prefix,
                      const char *suffix, uint32_t *number)
{
    char *copy = copy_of(text, length);
    size_t head = strlen(prefix), digits;
    uint64_t value = 0;
    bool good = strncmp(copy, prefix, head) == 0;

    digits = good ? read_digits(copy + head, &value) : 0;
    good = digits > 0 && value < UINT32_MAX && strcmp(copy + head + digits, suffix) == 0 &&
           length == head + digits + strlen(suffix);
    if (good) *number = (uint32_t)value;
    free(copy);
    return good;
}

/* A line "Key: 123 kB" after a newline that is put in front of the text. */
static vts_pc_state read_memory(const char *text, size_t length, const char *prefix,
                                const char *key, double *bytes)
{
    char *copy = copy_of(text, length), *lines = (char *)fuzz_need(malloc(length + 2));
    char wanted[64];
    const char *found;
    uint64_t kilobytes;
    size_t digits, left;
    vts_pc_state state = VTS_PC_UNSUPPORTED;

    lines[0] = '\n';
    memcpy(lines + 1, copy, length + 1);
    (void)snprintf(wanted, sizeof wanted, "\n%s%s:", prefix, key);
    found = (const char *)memmem(lines, length + 1, wanted, strlen(wanted));
    if (found != NULL) {
        found += strlen(wanted);
        found += strspn(found, " \t");
        digits = read_digits(found, &kilobytes);
        left = (size_t)(lines + 1 + length - found) - digits;
        state = digits > 0 && left >= 3 && memcmp(found + digits, " kB", 3) == 0 &&
                        (left == 3 || found[digits + 3] == '\n') &&
                        kilobytes < (UINT64_C(1) << 54)
                    ? VTS_PC_VALID
                    : VTS_PC_MALFORMED;
        if (state == VTS_PC_VALID) *bytes = (double)kilobytes * 1024.0;
    }
    free(lines);
    free(copy);
    return state;
}

// ----------------------------------------------------------------------------------
// Attributes of sensors
// ----------------------------------------------------------------------------------

static vts_pcmon *blank_monitor(void)
{
    static vts_pcmon monitor;
    monitor.now_ns = 1000 * VTS__PC_S;
    return &monitor;
}

/* A number counts only when it is valid, and then it is one. */
static void check_part(const vts__pc_sensor *s, int part, double low, double high)
{
    if (s->state[part] == VTS_PC_VALID) {
        FUZZ_CHECK(isfinite(s->value[part]));
        FUZZ_CHECK(s->value[part] >= low && s->value[part] <= high);
    } else {
        FUZZ_CHECK(s->state[part] > VTS_PC_NOT_YET || s->reader == VTS__PC_READ_ENERGY);
        FUZZ_CHECK(isnan(s->value[part]));
    }
}

static void keep_sensor(const vts__pc_sensor *s, outcome *out)
{
    int i;

    for (i = 0; i < VTS__PC_PARTS; i++) {
        out->code[i] = s->state[i];
        if (s->state[i] == VTS_PC_VALID) out->value[i] = s->value[i];
    }
}

static vts__pc_sensor sensor_of(vts__pc_reader reader)
{
    vts__pc_sensor s;

    memset(&s, 0, sizeof s);
    s.reader = reader;
    vts__pc_set_all(&s, VTS_PC_NOT_YET);
    return s;
}

static void parse_temperature(const char *text, size_t length, outcome *out)
{
    vts__pc_sensor s = sensor_of(VTS__PC_READ_TEMPERATURE);
    bool negative;
    uint64_t size;

    vts__pc_accept(blank_monitor(), &s, text, length);
    check_part(&s, 0, VTS__PC_LOWEST_TEMPERATURE, VTS__PC_HIGHEST_TEMPERATURE);
    if (!read_number(text, length, true, &negative, &size) || size > INT64_MAX) {
        FUZZ_CHECK(s.state[0] == VTS_PC_MALFORMED);
    } else if (size > (negative ? 40000u : 150000u)) {
        FUZZ_CHECK(s.state[0] == VTS_PC_IMPLAUSIBLE);
    } else {
        FUZZ_CHECK(s.state[0] == VTS_PC_VALID);
        FUZZ_CHECK(s.value[0] == (negative ? -1.0 : 1.0) * (double)size / 1000.0);
    }
    keep_sensor(&s, out);
}

/* "range;counter;counter ...", one second between the counters. */
static void parse_energy(const char *text, size_t length, outcome *out)
{
    vts__pc_sensor s = sensor_of(VTS__PC_READ_ENERGY);
    vts_pcmon *m = blank_monitor();
    int64_t range;
    size_t at, end;
    double before = 0;

    for (at = 0; at <= length; at = end + 1) {
        for (end = at; end < length && text[end] != ';'; end++) {}
        if (at == 0) {
            if (!vts__pc_parse_integer(text, end, &range)) range = 0;
            s.wrap = range > 0 ? (uint64_t)range : 0;
            continue;
        }
        m->now_ns += VTS__PC_S;
        vts__pc_accept(m, &s, text + at, end - at);
        check_part(&s, 0, 0, 0x1p64 / 1e6);
        check_part(&s, 1, 0, VTS__PC_MAX_POWER);
        if (s.state[1] == VTS_PC_VALID && s.last_raw < UINT64_MAX / 4 && before < 1e12) {
            FUZZ_CHECK(s.value[0] >= before); /* the counter is carried on past wraps */
        }
        before = s.state[0] == VTS_PC_VALID ? s.value[0] : before;
    }
    keep_sensor(&s, out);
}

static void parse_frequency(const char *text, size_t length, outcome *out)
{
    vts__pc_sensor s = sensor_of(VTS__PC_READ_FREQUENCY);
    bool negative;
    uint64_t kilohertz;

    vts__pc_accept(blank_monitor(), &s, text, length);
    check_part(&s, 0, 1000.0, VTS__PC_MAX_FREQUENCY);
    if (!read_number(text, length, false, &negative, &kilohertz)) {
        FUZZ_CHECK(s.state[0] == VTS_PC_MALFORMED);
    } else if (kilohertz == 0 || kilohertz > 100000000u) {
        FUZZ_CHECK(s.state[0] == VTS_PC_IMPLAUSIBLE);
    } else {
        FUZZ_CHECK(s.value[0] == (double)kilohertz * 1000.0);
    }
    keep_sensor(&s, out);
}

static void parse_count(const char *text, size_t length, outcome *out)
{
    vts__pc_sensor s = sensor_of(VTS__PC_READ_COUNT);
    bool negative;
    uint64_t count;

    vts__pc_accept(blank_monitor(), &s, text, length);
    check_part(&s, 0, 0, 0x1p64);
    FUZZ_CHECK((s.state[0] == VTS_PC_VALID) ==
               read_number(text, length, false, &negative, &count));
    if (s.state[0] == VTS_PC_VALID) FUZZ_CHECK(s.value[0] == (double)count);
    keep_sensor(&s, out);
}

static void parse_node(const char *text, size_t length, outcome *out)
{
    static const char *const key[VTS__PC_PARTS] = {"MemTotal", "MemFree", "MemUsed"};
    vts__pc_sensor s = sensor_of(VTS__PC_READ_NODE);
    int i;

    s.own_index = 3;
    vts__pc_accept(blank_monitor(), &s, text, length);
    for (i = 0; i < VTS__PC_PARTS; i++) {
        double bytes = 0;
        vts_pc_state state = read_memory(text, length, "Node 3 ", key[i], &bytes);
        if (state == VTS_PC_UNSUPPORTED) state = VTS_PC_MALFORMED;
        if (state == VTS_PC_VALID && i > 0 && bytes > s.value[0]) state = VTS_PC_IMPLAUSIBLE;
        check_part(&s, i, 0, 0x1p64);
        FUZZ_CHECK(s.state[i] == state);
        if (state == VTS_PC_VALID) FUZZ_CHECK(s.value[i] == bytes);
    }
    keep_sensor(&s, out);
}

/* A limit, as discovery reads it. */
static void parse_integer(const char *text, size_t length, outcome *out)
{
    const int64_t untouched = INT64_C(0x5a5a5a5a5a5a);
    int64_t value = untouched;
    bool negative, good = vts__pc_parse_integer(text, length, &value);
    uint64_t size;

    FUZZ_CHECK(good == (read_number(text, length, true, &negative, &size) &&
                        size <= INT64_MAX));
    if (good) FUZZ_CHECK(value == (negative ? -(int64_t)size : (int64_t)size));
    else FUZZ_CHECK(value == untouched);
    out->code[0] = good;
    out->code[1] = value;
}

static void parse_suspended(const char *text, size_t length, outcome *out)
{
    char *copy = copy_of(text, length);
    bool suspended = vts__pc_parse_suspended(text, length);

    FUZZ_CHECK(suspended == (strncmp(copy, "suspend", 7) == 0));
    out->code[0] = suspended;
    free(copy);
}

/* A label, a chip's name, a zone's type: cut by the buffer they are read into. */
static void parse_label(const char *text, size_t length, outcome *out)
{
    char *copy;
    size_t i, size;

    if (length >= sizeof out->text) length = sizeof out->text - 1;
    copy = copy_of(text, length);
    size = vts__pc_clean_text(copy, length);
    FUZZ_CHECK(size <= length && copy[size] == '\0');
    FUZZ_CHECK(size == 0 || strchr(" \t\n", copy[size - 1]) == NULL);
    for (i = 0; i < size; i++) {
        bool control = (unsigned char)text[i] < 32 || text[i] == 127;
        FUZZ_CHECK(copy[i] == (control ? '?' : text[i]));
    }
    out->number[0] = vts__pc_label_number(copy);
    out->number[1] = vts__pc_hwmon_source("coretemp", copy);
    out->number[2] = vts__pc_hwmon_source("k10temp", copy);
    out->number[3] = vts__pc_hwmon_source(copy, "CPU");
    out->number[4] = vts__pc_zone_source(copy);
    for (i = 1; i < 5; i++) FUZZ_CHECK(out->number[i] < VTS_PC_SOURCE_COUNT);
    memcpy(out->text, copy, size);
    free(copy);
}

// ----------------------------------------------------------------------------------
// Files of /proc
// ----------------------------------------------------------------------------------

/* A cpu line once more; the count of its fields, or -1 if one is broken. */
static int read_ticks(const char *at, const char *end, uint64_t ticks[VTS__PC_TICKS])
{
    int count = 0;

    memset(ticks, 0, VTS__PC_TICKS * sizeof ticks[0]);
    while (at < end) {
        uint64_t value;
        size_t blanks = strspn(at, " \t"), digits;
        if (blanks == 0) return -1;
        at += blanks;
        if (at == end) break;
        digits = read_digits(at, &value);
        if (digits == 0) return -1;
        at += digits;
        if (count < VTS__PC_TICKS) ticks[count] = value;
        count++;
    }
    return count;
}

static vts__pc_line read_stat_line(const char *line, size_t size, uint32_t *cpu,
                                   uint64_t ticks[VTS__PC_TICKS])
{
    char *copy = copy_of(line, size);
    const char *at = copy + 3;
    vts__pc_line kind = VTS__PC_LINE_ALL_CPUS;
    uint64_t number = 0;
    size_t digits = 0;

    *cpu = VTS_PC_NO_INDEX;
    if (size < 4 || strncmp(copy, "cpu", 3) != 0) {
        kind = VTS__PC_LINE_OTHER;
    } else if (strchr(" \t", *at) == NULL || *at == '\0') {
        digits = read_digits(at, &number);
        kind = digits > 0 && number <= 65535 ? VTS__PC_LINE_CPU : VTS__PC_LINE_BROKEN;
        if (kind == VTS__PC_LINE_CPU) *cpu = (uint32_t)number;
    }
    if (kind >= VTS__PC_LINE_ALL_CPUS && read_ticks(at + digits, copy + size, ticks) < 4) {
        kind = VTS__PC_LINE_BROKEN;
    }
    free(copy);
    return kind;
}

static void parse_stat(const char *text, size_t length, outcome *out)
{
    uint64_t ticks[VTS__PC_TICKS], again[VTS__PC_TICKS];
    size_t at = 0, i;
    uint32_t cpu, same;

    while (at < length) {
        const char *line = text + at;
        const char *newline = (const char *)memchr(line, '\n', length - at);
        size_t size = newline != NULL ? (size_t)(newline - line) : length - at;
        vts__pc_line kind = vts__pc_parse_stat_line(text, length, &at, &cpu, ticks);

        FUZZ_CHECK(text + at == line + size + 1);
        FUZZ_CHECK(kind == read_stat_line(line, size, &same, again));
        FUZZ_CHECK(cpu == same);
        if (kind == VTS__PC_LINE_OTHER) break;
        out->code[kind]++;
        if (kind == VTS__PC_LINE_BROKEN) continue;
        FUZZ_CHECK(memcmp(ticks, again, sizeof ticks) == 0);
        for (i = 0; i < VTS__PC_TICKS; i++) out->number[i] = out->number[i] * 31 + ticks[i];
    }
}

/* The same lines as two samples of one CPU: the utilization is a ratio. */
static void parse_utilization(const char *text, size_t length, outcome *out)
{
    vts__pc_sensor s = sensor_of(VTS__PC_READ_STAT);
    uint64_t ticks[VTS__PC_TICKS];
    vts__pc_progress step;
    size_t at = 0;
    uint32_t cpu;

    while (at < length) {
        vts__pc_line kind = vts__pc_parse_stat_line(text, length, &at, &cpu, ticks);
        if (kind == VTS__PC_LINE_OTHER) break;
        if (kind == VTS__PC_LINE_BROKEN) continue;
        vts__pc_accept_cpu(&s, ticks, &step);
        FUZZ_CHECK(step.busy >= 0 && step.busy <= step.total);
        FUZZ_CHECK(s.state[0] == VTS_PC_VALID || s.state[0] == VTS_PC_NOT_YET);
        if (s.state[0] == VTS_PC_VALID) FUZZ_CHECK(s.value[0] >= 0 && s.value[0] <= 1);
        else FUZZ_CHECK(isnan(s.value[0]));
        FUZZ_CHECK(s.state[1] == VTS_PC_VALID && s.value[1] >= 0);
        FUZZ_CHECK(s.state[2] == VTS_PC_VALID && s.value[2] >= 0);
    }
    keep_sensor(&s, out);
}

static void parse_meminfo(const char *text, size_t length, outcome *out)
{
    static const char *const key[] = {"MemTotal", "MemFree", "MemAvailable", "SwapTotal"};
    const double untouched = -1;
    int i;

    for (i = 0; i < 4; i++) {
        double value = untouched, again = untouched;
        vts_pc_state state = vts__pc_parse_memory(text, length, "", key[i], &value);
        FUZZ_CHECK(state == read_memory(text, length, "", key[i], &again));
        FUZZ_CHECK(value == again);
        out->code[i] = state;
        out->value[i] = value;
    }
}

static void parse_loadavg(const char *text, size_t length, outcome *out)
{
    char *copy = copy_of(text, length), *at = copy;
    double load[3] = {-1, -1, -1}, again[3] = {-1, -1, -1};
    bool good = vts__pc_parse_loadavg(text, length, load), expected = true;
    int i;

    for (i = 0; i < 3 && expected; i++) {
        size_t size;
        at += strspn(at, " \t");
        size = read_decimal(at, &again[i]);
        at += size;
        expected = size > 0 && (*at == ' ' || *at == '\t');
    }
    FUZZ_CHECK(good == expected);
    for (i = 0; i < 3; i++) FUZZ_CHECK(load[i] == (good ? again[i] : -1));
    out->code[0] = good;
    memcpy(out->value, load, sizeof load);
    free(copy);
}

static void parse_pressure(const char *text, size_t length, outcome *out)
{
    char *copy = copy_of(text, length);
    double ratio = -1, percent = 0;
    bool good = vts__pc_parse_pressure(text, length, &ratio), expected = false;

    if (strncmp(copy, "some avg10=", 11) == 0) {
        size_t size = read_decimal(copy + 11, &percent);
        char after = copy[11 + size];
        expected = size > 0 && (after == ' ' || after == '\t') && percent <= 100;
    }
    FUZZ_CHECK(good == expected);
    FUZZ_CHECK(ratio == (good ? percent / 100.0 : -1));
    if (good) FUZZ_CHECK(ratio >= 0 && ratio <= 1);
    out->code[0] = good;
    out->value[0] = ratio;
    free(copy);
}

// ----------------------------------------------------------------------------------
// Lists and names
// ----------------------------------------------------------------------------------

/* To hwloc "010" is 8. */
static void drop_leading_zeros(char *list)
{
    char *to = list;
    const char *from;

    for (from = list; *from != '\0'; from++) {
        bool begins = from == list || !vts__pc_is_digit(from[-1]);
        while (begins && *from == '0' && vts__pc_is_digit(from[1])) from++;
        *to++ = *from;
    }
    *to = '\0';
}

/* What is accepted means the same to hwloc, and hwloc's way to write it is accepted. */
static void parse_cpulist(const char *text, size_t length, outcome *out)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc(), again = hwloc_bitmap_alloc();
    bool good = vts__pc_parse_cpulist(text, length, set);

    if (good) {
        char *copy = copy_of(text, length), *written = NULL;
        FUZZ_CHECK(hwloc_bitmap_last(set) <= VTS__PC_MAX_CPU);
        copy[strcspn(copy, " \t\n")] = '\0';
        drop_leading_zeros(copy);
        FUZZ_CHECK(hwloc_bitmap_list_sscanf(again, copy) == 0);
        FUZZ_CHECK(hwloc_bitmap_isequal(set, again));
        FUZZ_CHECK(hwloc_bitmap_list_asprintf(&written, set) >= 0);
        FUZZ_CHECK(vts__pc_parse_cpulist(written, strlen(written), again));
        FUZZ_CHECK(hwloc_bitmap_isequal(set, again));
        out->code[1] = hwloc_bitmap_weight(set);
        out->code[2] = hwloc_bitmap_last(set);
        free(written);
        free(copy);
    }
    out->code[0] = good;
    hwloc_bitmap_free(set);
    hwloc_bitmap_free(again);
}

static void parse_name(const char *text, size_t length, outcome *out)
{
    static const struct {
        const char *prefix, *suffix;
    } name[] = {{"hwmon", ""}, {"temp", "_input"}, {"thermal_zone", ""}, {"cpu", ""},
                {"node", ""},  {"Core ", ""},      {"Package id ", ""},  {"Tccd", ""}};
    size_t i;

    for (i = 0; i < sizeof name / sizeof name[0]; i++) {
        uint32_t number = 77, again = 77;
        bool good = vts__pc_parse_name(text, length, name[i].prefix, name[i].suffix,
                                       &number);
        FUZZ_CHECK(good == read_name(text, length, name[i].prefix, name[i].suffix, &again));
        FUZZ_CHECK(number == again);
        out->number[i] = good ? number : UINT64_MAX;
    }
}

static void parse_rapl_name(const char *text, size_t length, outcome *out)
{
    uint32_t package = 77, die = 77, again = 77, again_die = VTS_PC_NO_INDEX;
    bool good = vts__pc_parse_rapl_name(text, length, &package, &die), expected;
    size_t cut = 0;

    while (cut < length && (cut < 8 || vts__pc_is_digit(text[cut]))) cut++;
    expected = read_name(text, cut, "package-", "", &again) &&
               (cut == length ||
                read_name(text + cut, length - cut, "-die-", "", &again_die));
    FUZZ_CHECK(good == expected);
    if (good) FUZZ_CHECK(package == again && die == again_die);
    else FUZZ_CHECK(package == 77);
    out->code[0] = good;
    out->code[1] = package;
}

/* A device's path: the last part that is a PCI address. */
static void parse_pci_path(const char *text, size_t length, outcome *out)
{
    static const char hex[] = "[0-9a-f][0-9a-f]", one[] = "[0-9a-f]";
    char shape[128], upto[VTS__PC_PATH], *path, *part, *next;
    const char *found, *expected = NULL;

    if (length >= VTS__PC_PATH) length = VTS__PC_PATH - 1;
    (void)snprintf(shape, sizeof shape, "%s%s:%s:%s.%s", hex, hex, hex, hex, one);
    path = copy_of(text, length);
    found = vts__pc_pci_part(path, upto);
    FUZZ_CHECK(vts__pc_is_pci_name(text, length) ==
               (strlen(path) == length && fnmatch(shape, path, 0) == 0));
    if (found != NULL) {
        FUZZ_CHECK(strncmp(path, upto, strlen(upto)) == 0);
        (void)snprintf(out->text, sizeof out->text, "%s", found);
    }
    for (part = strtok_r(path, "/", &next); part != NULL; part = strtok_r(NULL, "/", &next)) {
        if (fnmatch(shape, part, 0) == 0) expected = part;
    }
    FUZZ_CHECK((found != NULL) == (expected != NULL));
    if (found != NULL) FUZZ_CHECK(strcmp(found, expected) == 0);
    free(path);
}

// ----------------------------------------------------------------------------------
// The target
// ----------------------------------------------------------------------------------

typedef void (*parse)(const char *text, size_t length, outcome *out);

/* In the order of the letters that inputs begin with. */
static const parse parses[] = {
    parse_temperature, parse_energy,      parse_frequency, parse_count,    /* abcd */
    parse_node,        parse_integer,     parse_suspended, parse_label,    /* efgh */
    parse_stat,        parse_utilization, parse_meminfo,   parse_loadavg,  /* ijkl */
    parse_pressure,    parse_cpulist,     parse_name,      parse_rapl_name, /* mnop */
    parse_pci_path};                                                        /* q */

static void fuzz_one(const uint8_t *data, size_t size)
{
    size_t length = size > 0 ? size - 1 : 0;
    const char *text = (const char *)data + 1;
    char *exact, *followed;
    outcome first, second;
    parse one;

    if (size == 0) return;
    one = parses[(uint8_t)(data[0] - 'a') % (sizeof parses / sizeof parses[0])];
    exact = (char *)fuzz_need(malloc(length > 0 ? length : 1));
    followed = (char *)fuzz_need(malloc(length + sizeof tail));
    memcpy(exact, text, length);
    memcpy(followed, text, length);
    memcpy(followed + length, tail, sizeof tail);
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    one(exact, length, &first);
    one(followed, length, &second);
    FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);
    FUZZ_CHECK(memcmp(exact, text, length) == 0);
    free(exact);
    free(followed);
}

FUZZ_TARGET(fuzz_one)
