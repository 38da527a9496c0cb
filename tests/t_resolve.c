/* vts_resolve: names, on a thread of a pool. Most tests have a getaddrinfo of their own,
   which waits until the test lets it go. */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>

static int fake_getaddrinfo(const char *name, const char *service,
                            const struct addrinfo *hints, struct addrinfo **found);
static void fake_freeaddrinfo(struct addrinfo *found);

#define getaddrinfo fake_getaddrinfo
#define freeaddrinfo fake_freeaddrinfo
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#undef getaddrinfo
#undef freeaddrinfo
#include "test.h"

// ---- a name service that a test drives ----

static struct {
    bool waits;      /* until the semaphore is posted                                 */
    sem_t begun, go;
    int code, error; /* what it answers                                               */
    int calls;
    char name[256], service[64];
    int family;
    unsigned large; /* bits: these of the addresses are larger than any that is known */
    struct sockaddr_in address[3];
    struct addrinfo info[3];
    int given; /* lists that were not freed                                          */
} names;

static int fake_getaddrinfo(const char *name, const char *service,
                            const struct addrinfo *hints, struct addrinfo **found)
{
    names.calls++;
    snprintf(names.name, sizeof names.name, "%s", name);
    snprintf(names.service, sizeof names.service, "%s", service != NULL ? service : "-");
    names.family = hints->ai_family;
    sem_post(&names.begun);
    if (names.waits) sem_wait(&names.go);
    if (names.code != 0) {
        errno = names.error;
        return names.code;
    }
    for (int i = 0; i < 3; i++) {
        names.address[i].sin_family = AF_INET;
        names.address[i].sin_port = htons((uint16_t)(80 + i));
        names.address[i].sin_addr.s_addr = htonl(0x7f000001u + (unsigned)i);
        memset(&names.info[i], 0, sizeof names.info[i]);
        names.info[i].ai_addr = (struct sockaddr *)(void *)&names.address[i];
        names.info[i].ai_addrlen = sizeof names.address[i];
        if ((names.large >> i & 1) != 0) names.info[i].ai_addrlen = 129;
        names.info[i].ai_next = i < 2 ? &names.info[i + 1] : NULL;
    }
    __atomic_fetch_add(&names.given, 1, __ATOMIC_RELAXED);
    *found = names.info;
    return 0;
}

static void fake_freeaddrinfo(struct addrinfo *found)
{
    THREAD_CHECK(found == names.info);
    __atomic_fetch_sub(&names.given, 1, __ATOMIC_RELAXED);
}

// ---- a loop and a pool for each test ----

static vts_socket_loop net;
static vts_threadpool *threads;

static void set_up(void)
{
    vts_threadpool_desc desc = {0};

    memset(&names, 0, sizeof names);
    sem_init(&names.begun, 0, 0);
    sem_init(&names.go, 0, 0);
    desc.threads = 1;
    assert_code(vts_threadpool_create(&threads, &desc), VTS_OK);
    assert_code(vts_socket_loop_init(&net, NULL), VTS_OK);
}

static void tear_down(void)
{
    assert_code(vts_threadpool_destroy(threads), VTS_OK);
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_int_equal(names.given, 0);
}

static vts_valuetask resolve(vts_address *addresses, size_t capacity,
                             const vts_socket_limit *limit)
{
    return vts_resolve(&net, threads, "example.org", "http", VTS_FAMILY_NONE, addresses,
                       capacity, limit);
}

static int finish(vts_valuetask task, intptr_t *result)
{
    assert_code(vts_loop_run_until(&net.loop, task, vts_after(VTS_SECONDS(20))), VTS_OK);
    return vts_valuetask_get_result(task, result);
}

static void addresses_come_in_the_service_s_order(void)
{
    vts_address addresses[4];
    char text[64];
    intptr_t count;

    set_up();
    assert_code(finish(resolve(addresses, 4, NULL), &count), VTS_OK);
    assert_int_equal(count, 3);
    assert_string_equal(names.name, "example.org");
    assert_string_equal(names.service, "http");
    assert_int_equal(names.family, AF_UNSPEC);
    vts_address_format(&addresses[0], text, sizeof text);
    assert_string_equal(text, "127.0.0.1:80");
    vts_address_format(&addresses[2], text, sizeof text);
    assert_string_equal(text, "127.0.0.3:82");
    tear_down();
}

static void what_has_no_room_is_left_out(void)
{
    vts_address addresses[3];
    intptr_t count;

    set_up();
    memset(addresses, 0x5a, sizeof addresses);
    assert_code(finish(vts_resolve(&net, threads, "a", NULL, VTS_IPV6, addresses, 2, NULL),
                       &count),
                VTS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(addresses[2].size, 0x5a5a5a5a);
    assert_string_equal(names.service, "-");
    assert_int_equal(names.family, AF_INET6);
    tear_down();
}

static void an_address_that_is_too_large_is_left_out(void)
{
    vts_address addresses[3];
    char text[64];
    intptr_t count = 77;

    set_up();
    memset(addresses, 0x5a, sizeof addresses);
    names.large = 2;
    assert_code(finish(resolve(addresses, 3, NULL), &count), VTS_OK);
    assert_int_equal(count, 2);
    vts_address_format(&addresses[1], text, sizeof text);
    assert_string_equal(text, "127.0.0.3:82");
    names.large = 7;
    assert_code(finish(resolve(addresses, 3, NULL), &count), VTS_E_NO_DATA);
    tear_down();
}

static void each_failure_has_its_error(void)
{
    static const struct {
        int code, error, expected;
    } cases[] = {{EAI_NONAME, 0, VTS_E_HOST_NOT_FOUND}, {EAI_AGAIN, 0, VTS_E_TRY_AGAIN},
                 {EAI_FAIL, 0, VTS_E_NO_RECOVERY},      {EAI_MEMORY, 0, VTS_E_MEMORY},
                 {EAI_SERVICE, 0, VTS_E_ARGUMENT},      {EAI_FAMILY, 0, VTS_E_NO_DATA},
                 {EAI_NODATA, 0, VTS_E_NO_DATA},        {EAI_SYSTEM, EMFILE, -EMFILE},
                 {EAI_SYSTEM, 0, VTS_E_NO_RECOVERY},    {12345, 0, VTS_E_NO_RECOVERY}};
    vts_address address;
    intptr_t count = 77;

    set_up();
    memset(&address, 0x5a, sizeof address);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        names.code = cases[i].code;
        names.error = cases[i].error;
        assert_code(finish(resolve(&address, 1, NULL), &count), cases[i].expected);
        assert_true(strlen(vts_socket_strerror(cases[i].expected)) > 3);
    }
    assert_int_equal(count, 77);
    assert_int_equal(address.size, 0x5a5a5a5a);
    tear_down();
}

/* The thread goes on; what it finds is given back, and written nowhere. */
static void canceled(bool by_deadline)
{
    vts_cancellation_source source = {0};
    vts_socket_limit limit = {0};
    vts_address address;
    vts_valuetask task;

    set_up();
    names.waits = true;
    memset(&address, 0x5a, sizeof address);
    if (by_deadline) limit.deadline = vts_after(VTS_MILLISECONDS(20));
    else limit.cancel = vts_cancellation_token_of(&source);
    task = resolve(&address, 1, &limit);
    sem_wait(&names.begun);
    assert_false(vts_valuetask_is_completed(task));
    if (!by_deadline) vts_cancellation_cancel(&source);
    assert_code(vts_loop_run_until(&net.loop, task, vts_after(VTS_SECONDS(20))), VTS_OK);
    assert_true(vts_valuetask_is_canceled(task));
    assert_code(vts_valuetask_get_result(task, NULL),
                by_deadline ? -ETIMEDOUT : -ECANCELED);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    sem_post(&names.go);
    assert_code(vts_threadpool_destroy(threads), VTS_OK);
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    assert_int_equal(address.size, 0x5a5a5a5a);
    assert_int_equal(names.given, 0);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static void a_canceled_lookup_completes_at_once(void) { canceled(false); }
static void a_late_lookup_is_canceled(void) { canceled(true); }

static void a_token_that_is_canceled_already_looks_nothing_up(void)
{
    vts_cancellation_source source = {0};
    vts_socket_limit limit = {0};
    vts_address address;

    set_up();
    limit.cancel = vts_cancellation_token_of(&source);
    vts_cancellation_cancel(&source);
    assert_code(vts_valuetask_get_result(resolve(&address, 1, &limit), NULL), -ECANCELED);
    vts_cancellation_reset(&source);
    vts_cancellation_dispose(&source);
    assert_code(vts_valuetask_get_result(resolve(&address, 1, &limit), NULL), VTS_E_CLOSED);
    assert_int_equal(names.calls, 0);
    tear_down();
}

static void bad_arguments_are_refused(void)
{
    char text[300];
    vts_address address;

    set_up();
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
#define REFUSED(loop, pool, name, service, family, place, room)                        \
    assert_code(vts_valuetask_get_result(vts_resolve((loop), (pool), (name), (service), \
                                                     (family), (place), (room), NULL),  \
                                         NULL),                                        \
                VTS_E_ARGUMENT)
    REFUSED(NULL, threads, "a", "b", VTS_IPV4, &address, 1);
    REFUSED(&net, NULL, "a", "b", VTS_IPV4, &address, 1);
    REFUSED(&net, threads, NULL, "b", VTS_IPV4, &address, 1);
    REFUSED(&net, threads, text, "b", VTS_IPV4, &address, 1);
    REFUSED(&net, threads, "a", text, VTS_IPV4, &address, 1);
    REFUSED(&net, threads, "a", "b", VTS_UNIX, &address, 1);
    REFUSED(&net, threads, "a", "b", VTS_IPV4, NULL, 1);
    REFUSED(&net, threads, "a", "b", VTS_IPV4, &address, 0);
    text[253] = 0;
    assert_code(finish(vts_resolve(&net, threads, text, "b", VTS_IPV4, &address, 1, NULL),
                       NULL),
                VTS_OK);
    assert_int_equal(strlen(names.name), 253);
    tear_down();
    assert_code(vts_valuetask_get_result(
                    vts_resolve(&net, threads, "a", "b", VTS_IPV4, &address, 1, NULL), NULL),
                VTS_E_CLOSED);
}

/* Each allocation of loop and lookup fails once. */
static void looks_up_with_little_memory(void)
{
    vts_socket_loop_desc desc = {0};
    vts_address address;
    int error;

    desc.allocator = desc.requests.allocator = desc.delays.allocator = &test_allocator;
    desc.requests.cache = -1;
    error = vts_socket_loop_init(&net, &desc);
    if (error != VTS_OK) {
        assert_code(error, VTS_E_MEMORY);
        return;
    }
    error = finish(resolve(&address, 1, NULL), NULL);
    if (error != VTS_OK) {
        assert_true(error == VTS_E_MEMORY || error == VTS_E_EXHAUSTED);
        assert_true(test_has_failed());
    }
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static void every_failing_allocation_is_survived(void)
{
    set_up();
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_true(test_every_failure(looks_up_with_little_memory) >= 3);
    assert_code(vts_socket_loop_init(&net, NULL), VTS_OK);
    tear_down();
}

static const test_case tests[] = {TEST(addresses_come_in_the_service_s_order),
                                  TEST(what_has_no_room_is_left_out),
                                  TEST(an_address_that_is_too_large_is_left_out),
                                  TEST(each_failure_has_its_error),
                                  TEST(a_canceled_lookup_completes_at_once),
                                  TEST(a_late_lookup_is_canceled),
                                  TEST(a_token_that_is_canceled_already_looks_nothing_up),
                                  TEST(bad_arguments_are_refused),
                                  TEST(every_failing_allocation_is_survived)};
TEST_MAIN(tests)
