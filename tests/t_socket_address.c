/* Addresses of sockets: texts, parts, the system's own form. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#include "test.h"

static vts_address address_of(const char *text)
{
    vts_address address;

    assert_code(vts_address_parse(&address, text), VTS_OK);
    return address;
}

/* Parsed, and written again. */
static void assert_text(const char *text, const char *expected)
{
    vts_address address = address_of(text);
    char written[160];

    assert_int_equal(vts_address_format(&address, written, sizeof written),
                     strlen(expected));
    assert_string_equal(written, expected);
}

static void texts_are_read_and_written(void)
{
    assert_text("127.0.0.1:80", "127.0.0.1:80");
    assert_text("0.0.0.0:0", "0.0.0.0:0");
    assert_text("255.255.255.255:65535", "255.255.255.255:65535");
    assert_text("10.0.0.1:00080", "10.0.0.1:80");
    assert_text("[::1]:443", "[::1]:443");
    assert_text("[0:0:0:0:0:0:0:0]:1", "[::]:1");
    assert_text("[::ffff:1.2.3.4]:5", "[::ffff:1.2.3.4]:5");
    assert_text("unix:/run/some.socket", "unix:/run/some.socket");
    assert_text("unix:relative", "unix:relative");
    assert_text("unix:@abstract", "unix:@abstract");
}

static void zones_are_names_or_numbers(void)
{
    vts_address address = address_of("[fe80::1%65001]:7");
    const struct sockaddr_in6 *inside = (struct sockaddr_in6 *)(void *)address.as.bytes;
    char name[IF_NAMESIZE], text[80];

    assert_int_equal(inside->sin6_scope_id, 65001);
    assert_text("[fe80::1%65001]:7", "[fe80::1%65001]:7");
    if (if_indextoname(1, name) == NULL) TEST_SKIP("there is no network interface");
    snprintf(text, sizeof text, "[fe80::1%%%s]:7", name);
    assert_text(text, text);
    assert_text("[fe80::1%1]:7", text);
    address = address_of(text);
    assert_int_equal(inside->sin6_scope_id, 1);
}

static void bad_texts_are_refused(void)
{
    const char *const bad[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0:1",
        "127.0.0.256:1",
        ":80",
        "host:80",
        "127.0.0.1:-1",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[]:80",
        "[:80",
        "[::g]:80",
        "[fe80::1%]:80",
        "[fe80::1%no_such_interface]:80",
        "unix:",
        "tcp:127.0.0.1:80",
        "127.0.0.1:1 ",
        "[::1] :80",
        "11111111111111111111111111111111111111111111111111111111111111111111:80"};
    char path[200] = "unix:/";
    vts_address address, before;

    address = before = address_of("1.2.3.4:5");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (vts_address_parse(&address, bad[i]) != VTS_E_ARGUMENT) {
            TEST_FAIL("\"%s\" is taken\n", bad[i]);
        }
        assert_true(vts_address_equals(&address, &before));
    }
    memset(path + 6, 'x', 107);
    assert_code(vts_address_parse(&address, path), VTS_E_ARGUMENT);
    path[5 + 107] = 0;
    assert_code(vts_address_parse(&address, path), VTS_OK);
    assert_code(vts_address_parse(NULL, "1.2.3.4:5"), VTS_E_ARGUMENT);
    assert_code(vts_address_parse(&address, NULL), VTS_E_ARGUMENT);
}

static void a_text_that_does_not_fit_is_cut(void)
{
    vts_address address = address_of("127.0.0.1:80"), nowhere = {0};
    char text[8] = "unused";

    assert_int_equal(vts_address_format(&address, text, sizeof text), 12);
    assert_string_equal(text, "127.0.0");
    assert_int_equal(vts_address_format(&address, NULL, 0), 12);
    assert_int_equal(vts_address_format(&nowhere, text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(vts_address_format(NULL, text, sizeof text), 0);
}

static void addresses_have_a_family_and_perhaps_a_port(void)
{
    vts_address v4 = address_of("1.2.3.4:5"), v6 = address_of("[::1]:6"),
                path = address_of("unix:/x"), nowhere = {0};

    assert_int_equal(vts_address_family(&v4), VTS_IPV4);
    assert_int_equal(vts_address_family(&v6), VTS_IPV6);
    assert_int_equal(vts_address_family(&path), VTS_UNIX);
    assert_int_equal(vts_address_family(&nowhere), VTS_FAMILY_NONE);
    assert_int_equal(vts_address_family(NULL), VTS_FAMILY_NONE);
    assert_int_equal(vts_address_port(&v4), 5);
    assert_int_equal(vts_address_port(&v6), 6);
    assert_int_equal(vts_address_port(&path), 0);
    assert_int_equal(vts_address_port(&nowhere), 0);
    assert_int_equal(vts_address_port(NULL), 0);
    assert_code(vts_address_set_port(&v4, 65535), VTS_OK);
    assert_code(vts_address_set_port(&v6, 1), VTS_OK);
    assert_int_equal(vts_address_port(&v4), 65535);
    assert_int_equal(vts_address_port(&v6), 1);
    assert_code(vts_address_set_port(&path, 1), VTS_E_ARGUMENT);
    assert_code(vts_address_set_port(&nowhere, 1), VTS_E_ARGUMENT);
    assert_code(vts_address_set_port(NULL, 1), VTS_E_ARGUMENT);
}

static void addresses_come_from_the_system_and_go_there(void)
{
    struct sockaddr other = {.sa_family = AF_APPLETALK};
    vts_address address, copy = {0};
    unsigned char large[129] = {0};
    size_t size = 1;

    address = address_of("1.2.3.4:5");
    assert_ptr_equal(vts_address_data(&address, &size), address.as.bytes);
    assert_int_equal(size, sizeof(struct sockaddr_in));
    assert_code(vts_address_from(&copy, vts_address_data(&address, NULL), size),
                VTS_OK);
    assert_true(vts_address_equals(&copy, &address));
    assert_code(vts_address_from(&copy, &other, sizeof other), VTS_OK);
    assert_int_equal(vts_address_family(&copy), VTS_FAMILY_NONE);
    assert_code(vts_address_from(&copy, large, 1), VTS_OK);
    assert_int_equal(vts_address_family(&copy), VTS_FAMILY_NONE);
    assert_code(vts_address_from(&copy, NULL, 0), VTS_OK);
    assert_int_equal(copy.size, 0);
    assert_code(vts_address_from(&copy, NULL, 1), VTS_E_ARGUMENT);
    assert_code(vts_address_from(NULL, NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_address_from(&copy, large, 128), VTS_OK);
    assert_code(vts_address_from(&copy, large, 129), VTS_E_ARGUMENT);
    assert_null(vts_address_data(NULL, &size));
    assert_int_equal(size, 0);
}

static void equal_addresses_are_the_same_place(void)
{
    vts_address a = address_of("1.2.3.4:5"), same = address_of("1.2.3.4:05"),
                other = address_of("1.2.3.4:6"), path = address_of("unix:/x");

    assert_true(vts_address_equals(&a, &a));
    assert_true(vts_address_equals(&a, &same));
    assert_false(vts_address_equals(&a, &other));
    assert_false(vts_address_equals(&a, &path));
    assert_false(vts_address_equals(&a, NULL));
    assert_false(vts_address_equals(NULL, &a));
    assert_true(vts_address_equals(NULL, NULL));
}

/* Only what makes the place counts: not what fills a structure up, nor the flow. */
static void the_same_place_may_be_said_in_other_bytes(void)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct sockaddr_un un;
    vts_address a = address_of("1.2.3.4:5"), b, nowhere;

    memset(&four, 'x', sizeof four);
    four.sin_family = AF_INET;
    four.sin_port = htons(5);
    four.sin_addr.s_addr = htonl(0x01020304);
    assert_code(vts_address_from(&b, &four, sizeof four), VTS_OK);
    assert_true(vts_address_equals(&a, &b));
    a = b = address_of("[fe80::1]:5");
    memcpy(&six, b.as.bytes, sizeof six);
    six.sin6_flowinfo = 7;
    assert_code(vts_address_from(&b, &six, sizeof six), VTS_OK);
    assert_true(vts_address_equals(&a, &b));
    six.sin6_scope_id = 3;
    assert_code(vts_address_from(&b, &six, sizeof six), VTS_OK);
    assert_false(vts_address_equals(&a, &b));
    b = address_of("[fe80::2]:5");
    assert_false(vts_address_equals(&a, &b));
    a = address_of("unix:/some/where");
    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    strcpy(un.sun_path, "/some/where");
    assert_code(vts_address_from(&b, &un, sizeof un), VTS_OK);
    assert_true(vts_address_equals(&a, &b));
    b = address_of("unix:/some/whole");
    assert_false(vts_address_equals(&a, &b));
    b = address_of("unix:@/some/where");
    assert_false(vts_address_equals(&a, &b));
    assert_true(vts_address_equals(&b, &b));
    assert_code(vts_address_from(&nowhere, &un, sizeof(sa_family_t)), VTS_OK);
    assert_false(vts_address_equals(&a, &nowhere));
    assert_true(vts_address_equals(&nowhere, &nowhere));
    memset(&nowhere, 0, sizeof nowhere);
    assert_true(vts_address_equals(&nowhere, &nowhere));
}

/* A Unix-domain socket without a name, and a path that fills its place to the end. */
static void paths_need_no_end(void)
{
    struct sockaddr_un from;
    vts_address address;
    char text[160];

    memset(&from, 'x', sizeof from);
    from.sun_family = AF_UNIX;
    assert_code(vts_address_from(&address, &from, sizeof from), VTS_OK);
    assert_int_equal(vts_address_format(&address, text, sizeof text), 5 + 108);
    assert_code(vts_address_from(&address, &from, sizeof(sa_family_t)), VTS_OK);
    assert_int_equal(vts_address_format(&address, text, sizeof text), 5);
    assert_string_equal(text, "unix:");
}

static const test_case tests[] = {TEST(texts_are_read_and_written),
                                  TEST(zones_are_names_or_numbers),
                                  TEST(bad_texts_are_refused),
                                  TEST(a_text_that_does_not_fit_is_cut),
                                  TEST(addresses_have_a_family_and_perhaps_a_port),
                                  TEST(addresses_come_from_the_system_and_go_there),
                                  TEST(equal_addresses_are_the_same_place),
                                  TEST(the_same_place_may_be_said_in_other_bytes),
                                  TEST(paths_need_no_end)};

TEST_MAIN(tests)
