/* t_pcmon_parse.c - the parsers of vts_pcmon.h by themselves: what each takes, what it
   refuses, and that a refused text leaves the output alone. Each text is given without a
   NUL behind it, at the end of a block, so that a sanitizer sees a read past it. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A copy without a terminating NUL; the one before is freed. NULL: only that. */
static const char *bare(const char *text)
{
    static char *copy;

    free(copy);
    copy = NULL;
    if (text == NULL) return NULL;
    copy = (char *)malloc(strlen(text) + (text[0] == '\0'));
    assert_non_null(copy);
    memcpy(copy, text, strlen(text));
    return copy;
}

// ----------------------------------------------------------------------------------
// Numbers
// ----------------------------------------------------------------------------------

static void integers(void)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } all[] = {
        {"0", true, 0},
        {"42\n", true, 42},
        {" \t-5 \t\n", true, -5},
        {"9223372036854775807\n", true, INT64_MAX},
        {"-9223372036854775807\n", true, -INT64_MAX},
        {"9223372036854775808\n", false, 0},
        {"-9223372036854775808\n", false, 0},
        {"18446744073709551615\n", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {"1 2", false, 0},
        {"1\n2", false, 0},
        {"1x", false, 0},
        {"\n1", false, 0},
    };
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        int64_t value = 7;
        bool good = vts__pc_parse_integer(bare(all[i].text), strlen(all[i].text), &value);
        if (good == all[i].good && value == (good ? all[i].value : 7)) continue;
        TEST_FAIL("\"%s\" gives %d, %lld\n", all[i].text, good, (long long)value);
    }
    (void)bare(NULL);
}

static void counters(void)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } all[] = {
        {"18446744073709551615\n", true, UINT64_MAX},
        {"  7", true, 7},
        {"18446744073709551616\n", false, 0},
        {"99999999999999999999\n", false, 0},
        {"-1", false, 0},
        {" ", false, 0},
    };
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        uint64_t value = 9;
        bool good = vts__pc_parse_counter(bare(all[i].text), strlen(all[i].text), &value);
        if (good == all[i].good && value == (good ? all[i].value : 9)) continue;
        TEST_FAIL("\"%s\" gives %d, %llu\n", all[i].text, good, (unsigned long long)value);
    }
    (void)bare(NULL);
}

/* The double nearest to the text, or none. */
static void decimals(void)
{
    static const struct {
        const char *text;
        bool good;
        double value;
        size_t at;
    } all[] = {
        {"0", true, 0, 1},
        {"12", true, 12, 2},
        {"12.34 ", true, 12.34, 5},
        {"0.000001", true, 0.000001, 8},
        {"9007199253.999999", true, 9007199253.999999, 17},
        {"999999999999", true, 999999999999.0, 12},
        {"999999999999 ", true, 999999999999.0, 12},
        {"12x", true, 12, 2},
        {"1000000000000", false, 0, 0},
        {"0.0000001", false, 0, 0},
        {"9007199254.000000", false, 0, 0}, /* 2^53 millionths have no double each */
        {"1.", false, 0, 0},
        {"1.x", false, 0, 0},
        {".5", false, 0, 0},
        {"", false, 0, 0},
    };
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        double value = -1;
        size_t at = 0, length = strlen(all[i].text);
        bool good = vts__pc_parse_decimal(bare(all[i].text), length, &at, &value);
        if (good == all[i].good && value == (good ? all[i].value : -1) && at == all[i].at)
            continue;
        TEST_FAIL("\"%s\" gives %d, %.17g up to %zu\n", all[i].text, good, value, at);
    }
    (void)bare(NULL);
}

// ----------------------------------------------------------------------------------
// Names and lists
// ----------------------------------------------------------------------------------

static void names_with_a_number(void)
{
    static const struct {
        const char *text, *prefix, *suffix;
        bool good;
        uint32_t value;
    } all[] = {
        {"hwmon12", "hwmon", "", true, 12},
        {"temp1_input", "temp", "_input", true, 1},
        {"cpu4294967294", "cpu", "", true, 4294967294u},
        {"cpu4294967295", "cpu", "", false, 0},
        {"cpu99999999999999999999", "cpu", "", false, 0},
        {"cp", "cpu", "", false, 0},
        {"cpu", "cpu", "", false, 0},
        {"gpu1", "cpu", "", false, 0},
        {"cpufreq", "cpu", "", false, 0},
        {"cpu1x", "cpu", "", false, 0},
        {"temp1_inputs", "temp", "_input", false, 0},
        {"temp1_label", "temp", "_input", false, 0},
        {"temp1", "temp", "_input", false, 0},
    };
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        uint32_t value = 5;
        bool good = vts__pc_parse_name(bare(all[i].text), strlen(all[i].text),
                                       all[i].prefix, all[i].suffix, &value);
        if (good == all[i].good && value == (good ? all[i].value : 5)) continue;
        TEST_FAIL("\"%s\" gives %d, %u\n", all[i].text, good, value);
    }
    (void)bare(NULL);
}

static void names_of_rapl_zones(void)
{
    static const struct {
        const char *text;
        bool good;
        uint32_t package, die;
    } all[] = {
        {"package-0", true, 0, VTS_PC_NO_INDEX},
        {"package-12", true, 12, VTS_PC_NO_INDEX},
        {"package-1-die-0", true, 1, 0},
        {"package-4294967295", false, 0, 0},
        {"package-99999999999999999999", false, 0, 0},
        {"package-", false, 0, 0},
        {"package-x", false, 0, 0},
        {"package", false, 0, 0},
        {"packages-0", false, 0, 0},
        {"package-1-", false, 0, 0},
        {"package-1-die-", false, 0, 0},
        {"package-1-die-0x", false, 0, 0},
        {"core", false, 0, 0},
    };
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        uint32_t package = 77, die = 78;
        bool good = vts__pc_parse_rapl_name(bare(all[i].text), strlen(all[i].text),
                                            &package, &die);
        if (good != all[i].good) TEST_FAIL("\"%s\" gives %d\n", all[i].text, good);
        if (package == (good ? all[i].package : 77) && (!good || die == all[i].die)) continue;
        TEST_FAIL("\"%s\" gives %u, %u\n", all[i].text, package, die);
    }
    (void)bare(NULL);
}

static void names_of_pci_devices(void)
{
    static const char *const good[] = {"0000:00:18.3", "abcd:ef:09.a"};
    static const char *const bad[] = {"0000:00:18.",   "0000:00:18.33", "0000-00:18.3",
                                      "0000:00:18,3",  "000g:00:18.3",  "0000:00:1A.3",
                                      "0000:00:18.\x7f", "0000:00:18./", ""};
    size_t i;

    for (i = 0; i < COUNT(good); i++) {
        if (vts__pc_is_pci_name(bare(good[i]), strlen(good[i]))) continue;
        TEST_FAIL("\"%s\" is refused\n", good[i]);
    }
    for (i = 0; i < COUNT(bad); i++) {
        if (!vts__pc_is_pci_name(bare(bad[i]), strlen(bad[i]))) continue;
        TEST_FAIL("\"%s\" is taken\n", bad[i]);
    }
    (void)bare(NULL);
}

/* A list of CPUs, and it as hwloc writes it; NULL: refused. */
static void lists_of_cpus(void)
{
    static const struct {
        const char *text, *list;
    } all[] = {
        {"", ""},
        {"\n", ""},
        {" \t\n", ""},
        {"0\n", "0"},
        {"0-3,8 \n", "0-3,8"},
        {"8,0-3\t", "0-3,8"},
        {"65535", "65535"},
        {"65536", NULL},
        {"0-65536", NULL},
        {"3-1", NULL},
        {"1-", NULL},
        {"1-x", NULL},
        {"-1", NULL},
        {"1,", NULL},
        {"1,,2", NULL},
        {"1;2", NULL},
        {"1 2", NULL},
        {",1", NULL},
        {"x", NULL},
    };
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    char list[64];
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        bool good = vts__pc_parse_cpulist(bare(all[i].text), strlen(all[i].text), set);
        if (good != (all[i].list != NULL)) TEST_FAIL("\"%s\" gives %d\n", all[i].text, good);
        if (!good) continue;
        hwloc_bitmap_list_snprintf(list, sizeof list, set);
        assert_string_equal(list, all[i].list);
    }
    hwloc_bitmap_free(set);
    (void)bare(NULL);
}

// ----------------------------------------------------------------------------------
// Files
// ----------------------------------------------------------------------------------

static void lines_of_meminfo(void)
{
    static const struct {
        const char *text, *prefix;
        vts_pc_state state;
        double bytes;
    } all[] = {
        {"Free: 1 kB\nTotal:   2 kB\n", "", VTS_PC_VALID, 2048},
        {"Total:2 kB", "", VTS_PC_VALID, 2048},
        {"Totals: 1 kB\nTotal: 3 kB\n", "", VTS_PC_VALID, 3072},
        {"Node 1 Total: 1 kB\nNode 2 Total: 4 kB\n", "Node 2 ", VTS_PC_VALID, 4096},
        {"Total: 18014398509481983 kB\n", "", VTS_PC_VALID, 18446744073709550592.0},
        {"Total: 18014398509481984 kB\n", "", VTS_PC_MALFORMED, 0},
        {"Total: 2 MB\n", "", VTS_PC_MALFORMED, 0},
        {"Total: 2 kB \n", "", VTS_PC_MALFORMED, 0},
        {"Total: 2\n", "", VTS_PC_MALFORMED, 0},
        {"Total: -2 kB\n", "", VTS_PC_MALFORMED, 0},
        {"Total:\n", "", VTS_PC_MALFORMED, 0},
        {"Total 2 kB\n", "", VTS_PC_UNSUPPORTED, 0},
        {"Tota", "", VTS_PC_UNSUPPORTED, 0},
        {"Node 1 Total: 1 kB\n", "", VTS_PC_UNSUPPORTED, 0},
        {"\n\n", "", VTS_PC_UNSUPPORTED, 0},
        {"", "", VTS_PC_UNSUPPORTED, 0},
    };
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        double bytes = -1;
        vts_pc_state state = vts__pc_parse_memory(bare(all[i].text), strlen(all[i].text),
                                                  all[i].prefix, "Total", &bytes);
        if (state == all[i].state && bytes == (state == VTS_PC_VALID ? all[i].bytes : -1))
            continue;
        TEST_FAIL("\"%s\" is %s, %.17g\n", all[i].text, vts_pc_state_name((int)state), bytes);
    }
    (void)bare(NULL);
}

static void load_averages(void)
{
    static const char *const bad[] = {"0.21 0.37 0.39", "0.21 0.37", "0.21 0.37 x 1/719",
                                      "0.21,0.37 0.39 1/719", "0.21 0.37 0.39x", ""};
    static const char good[] = "0.21 0.37\t0.39 1/719 19737\n";
    double load[3] = {5, 5, 5};
    size_t i;

    for (i = 0; i < COUNT(bad); i++) {
        if (!vts__pc_parse_loadavg(bare(bad[i]), strlen(bad[i]), load) && load[0] == 5)
            continue;
        TEST_FAIL("\"%s\" is taken\n", bad[i]);
    }
    assert_true(vts__pc_parse_loadavg(bare(good), strlen(good), load));
    assert_true(load[0] == 0.21 && load[1] == 0.37 && load[2] == 0.39);
    (void)bare(NULL);
}

static void pressures(void)
{
    static const char *const bad[] = {
        "some avg10=1.00",     "some avg10=1.00x",   "some avg10=100.01 avg60=1",
        "some avg10= avg60=1", "some avg10=1. avg",  "full avg10=1.00 avg60=1",
        "some avg10",          ""};
    static const char good[] = "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n";
    static const char most[] = "some avg10=100.00 ";
    double ratio = 5;
    size_t i;

    for (i = 0; i < COUNT(bad); i++) {
        if (!vts__pc_parse_pressure(bare(bad[i]), strlen(bad[i]), &ratio) && ratio == 5)
            continue;
        TEST_FAIL("\"%s\" is taken\n", bad[i]);
    }
    assert_true(vts__pc_parse_pressure(bare(good), strlen(good), &ratio) && ratio == 0.125);
    assert_true(vts__pc_parse_pressure(bare(most), strlen(most), &ratio) && ratio == 1);
    (void)bare(NULL);
}

static void lines_of_stat(void)
{
    static const struct {
        const char *text;
        vts__pc_line line;
        uint32_t cpu;
    } all[] = {
        {"cpu  1 2 3 4 5 6 7 8 9 10\n", VTS__PC_LINE_ALL_CPUS, VTS_PC_NO_INDEX},
        {"cpu3 1 2 3 4 5 6 7 8 9 10\n", VTS__PC_LINE_CPU, 3},
        {"cpu65535 1 2 3 4 \n", VTS__PC_LINE_CPU, 65535},
        {"cpu3 1\t2 3 4", VTS__PC_LINE_CPU, 3},
        {"cpu65536 1 2 3 4\n", VTS__PC_LINE_BROKEN, VTS_PC_NO_INDEX},
        {"cpufreq 1 2 3 4\n", VTS__PC_LINE_BROKEN, VTS_PC_NO_INDEX},
        {"cpu3 1 2 3\n", VTS__PC_LINE_BROKEN, 3},
        {"cpu3 1 2 3 \n", VTS__PC_LINE_BROKEN, 3},
        {"cpu3x1 2 3 4\n", VTS__PC_LINE_BROKEN, 3},
        {"cpu3 1 2 3 4x5\n", VTS__PC_LINE_BROKEN, 3},
        {"cpu3 1 2 3 -4\n", VTS__PC_LINE_BROKEN, 3},
        {"cpu\n", VTS__PC_LINE_OTHER, VTS_PC_NO_INDEX},
        {"intr 1 2 3 4\n", VTS__PC_LINE_OTHER, VTS_PC_NO_INDEX},
        {"\n", VTS__PC_LINE_OTHER, VTS_PC_NO_INDEX},
    };
    uint64_t ticks[VTS__PC_TICKS];
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        size_t at = 0, length = strlen(all[i].text);
        uint32_t cpu;
        vts__pc_line line = vts__pc_parse_stat_line(bare(all[i].text), length, &at, &cpu,
                                                    ticks);
        if (line != all[i].line || cpu != all[i].cpu) {
            TEST_FAIL("\"%s\" is %d of %u\n", all[i].text, (int)line, cpu);
        }
        assert_int_equal(at, all[i].text[length - 1] == '\n' ? length : length + 1);
        if (line < VTS__PC_LINE_ALL_CPUS) continue;
        assert_int_equal(ticks[VTS__PC_USER], 1);
        assert_int_equal(ticks[VTS__PC_IDLE], 4);
    }
    (void)bare(NULL);
}

/* What is left of a driver's text, for people. */
static void texts_for_people(void)
{
    static const struct {
        const char *text, *clean;
    } all[] = {
        {"Package id 0\n", "Package id 0"}, {"a b\t \n\n", "a b"}, {" a", " a"},
        {"a\nb\x01\x7f" "c", "a?b??c"},     {"\n", ""},            {"", ""},
        {"\xc2\xb0" "C", "\xc2\xb0" "C"},
    };
    char text[64];
    size_t i;

    for (i = 0; i < COUNT(all); i++) {
        size_t length = strlen(all[i].text);
        memcpy(text, all[i].text, length);
        assert_int_equal(vts__pc_clean_text(text, length), strlen(all[i].clean));
        assert_string_equal(text, all[i].clean);
    }
}

static void states_of_runtime_power(void)
{
    assert_true(vts__pc_parse_suspended("suspended\n", 10));
    assert_true(vts__pc_parse_suspended("suspending", 10));
    assert_false(vts__pc_parse_suspended("suspen", 6));
    assert_false(vts__pc_parse_suspended("active\n", 7));
}

// ----------------------------------------------------------------------------------
// What memory a list takes
// ----------------------------------------------------------------------------------

/* A directory that never ends is an error, not the end of memory. */
static void names_of_a_directory_are_limited(void)
{
    vts__pc_find find = {0};
    vts__pc_names names = {&find, "intel-rapl:", NULL, NULL, 0, 0};
    char too_long[VTS__PC_NAME + 1];
    vts_pcmon *monitor;
    uint32_t count = 0;

    monitor = (vts_pcmon *)calloc(1, sizeof *monitor);
    assert_non_null(monitor);
    monitor->allocator = test_allocator;
    find.monitor = monitor;
    memset(too_long, '0', sizeof too_long);
    memcpy(too_long, "intel-rapl:", strlen("intel-rapl:"));
    too_long[VTS__PC_NAME] = '\0';
    assert_true(vts__pc_take_name(&names, too_long));
    assert_true(vts__pc_take_name(&names, "dtpm"));
    assert_int_equal(names.count, 0);
    while (vts__pc_take_name(&names, "intel-rapl:0")) count++;
    assert_int_equal(count, VTS__PC_MAX_ITEMS);
    assert_int_equal(names.count, count);
    assert_code(find.error, -ENOMEM);
    assert_true(find.incomplete);
    vts__pc_free_names(&names);
    free(monitor);
}

static const test_case tests[] = {
    TEST(integers),
    TEST(counters),
    TEST(decimals),
    TEST(names_with_a_number),
    TEST(names_of_rapl_zones),
    TEST(names_of_pci_devices),
    TEST(lists_of_cpus),
    TEST(lines_of_meminfo),
    TEST(load_averages),
    TEST(pressures),
    TEST(lines_of_stat),
    TEST(texts_for_people),
    TEST(states_of_runtime_power),
    TEST(names_of_a_directory_are_limited),
};

TEST_MAIN(tests)
