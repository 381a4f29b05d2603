/* Bytes as a targets file: targets that can be used, or errors, never both. */
#include "fuzz.h"

#include "base/check.h"
#include "config/targets_file.h"

/* Larger texts only make the same mistakes more slowly. */
enum { TEXT_MAX = 65536 };

static void check_target(const struct config_target *t)
{
    CHECK(t->text.n && t->weight <= 999 && t->priority == 0);
    if (t->host.n)
        CHECK(t->port && t->addrs_n == 0);
    else
        CHECK(t->addrs_n == 1 && !addr_is_wildcard(t->addrs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct config_group plain;
    struct config_target *targets;
    struct arena arena;
    struct report r;
    size_t targets_n;
    if (n > TEXT_MAX)
        return 0;
    arena_init(&arena);
    report_init(&r);
    bool good = targets_file_parse(&arena, &r, "fuzz.yaml", slice_of((const char *)data, n),
                                   &plain, &targets, &targets_n);
    CHECK(good == (r.errors == 0));
    for (size_t i = 0; good && i < targets_n; i++)
        check_target(&targets[i]);
    report_fini(&r);
    arena_fini(&arena);
    return 0;
}
