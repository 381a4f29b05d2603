#include "http/trace.h"

#include "heads.h"

static const struct trace_seed seed = {
    .epoch_s = 0x5759e988,
    .random = {0xbd, 0x86, 0x2e, 0x3f, 0xe1, 0xbe, 0x46, 0xa9, 0x94, 0x27,
               0x27, 0x93, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80},
};

#define ID    "1-5759e988-bd862e3fe1be46a994272793"
#define TRACE "5759e988bd862e3fe1be46a994272793"

static void test_the_trace_header_follows_alb(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", "Root=" ID},
        {"Root=1-a-b", "Self=" ID ";Root=1-a-b"},
        {"Root=1-a-b;CalledFrom=app", "Self=" ID ";Root=1-a-b;CalledFrom=app"},
        {"Self=1-x-y;Root=1-a-b", "Self=" ID ";Root=1-a-b"},
        {"Root=1-a-b;Self=1-x-y;A=b", "Self=" ID ";Root=1-a-b;A=b"},
        {"root=1-a-b", "Self=" ID ";root=1-a-b"},
        {"A=b", "Root=" ID ";A=b"},
        {"Self=1-x-y", "Root=" ID},
        {" ; Root=1-a-b ; ; A=b;", "Self=" ID ";Root=1-a-b;A=b"},
        {"NotRoot=1", "Root=" ID ";NotRoot=1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t room = TRACE_ROOT_LEN + 1 + strlen(rows[i].in);
        char *to = malloc(room);
        size_t n = trace_amzn(to, slice_str(rows[i].in), &seed);
        assert_true(n <= room);
        assert_slice(slice_of(to, n), rows[i].out);
        free(to);
    }
    assert_int_equal(strlen("Root=" ID), TRACE_ROOT_LEN);
}

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void check_parent(const char *in, const char *trace, const char *flags, bool continues)
{
    char to[TRACE_PARENT_LEN], expected[64];
    bool continued;
    trace_parent(to, slice_str(in), &seed, &continued);
    snprintf(expected, sizeof(expected), "00-%s-1020304050607081-%s", trace, flags);
    assert_slice(slice_of(to, sizeof(to)), expected);
    assert_int_equal(continued, continues);
}

static void test_a_good_traceparent_is_continued(void **state)
{
    (void)state;
    const char *trace = "0af7651916cd43dd8448eb211c80319c";
    check_parent(PARENT, trace, "01", true);
    check_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", trace, "00", true);
    check_parent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", trace, "01", true);
    check_parent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-new", trace, "01", true);
}

static void test_any_other_traceparent_begins_a_new_trace(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        PARENT "-x",
        PARENT "x",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0gf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_parent(rows[i], TRACE, "01", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_trace_header_follows_alb),
        cmocka_unit_test(test_a_good_traceparent_is_continued),
        cmocka_unit_test(test_any_other_traceparent_begins_a_new_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
