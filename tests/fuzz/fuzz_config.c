/* Bytes as a configuration file, without files: a config or errors, never both, and every error
 * can be shown. */
#include "fuzz.h"

#include "base/check.h"
#include "base/strbuf.h"
#include "config/load.h"

/* Larger texts only make the same mistakes more slowly. */
enum { TEXT_MAX = 65536 };

static const char *lookup(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "PORT") == 0 ? "8080" : NULL;
}

static void show(struct report *r)
{
    struct strbuf out;
    strbuf_init(&out);
    report_text(r, &out);
    report_json(r, &out);
    strbuf_fini(&out);
}

static void check_config(const struct config *c)
{
    CHECK(c->listeners_n > 0 && c->workers > 0);
    for (size_t i = 0; i < c->listeners_n; i++) {
        const struct config_listener *l = &c->listeners[i];
        CHECK(l->name.n && l->listen_n && !l->broken);
        for (size_t j = 0; j < l->rules_n; j++)
            CHECK(l->rules[j].conditions_n &&
                  (!j || l->rules[j].priority > l->rules[j - 1].priority));
        const struct config_action *a = &l->default_action;
        CHECK(a->type != CONFIG_ACTION_FORWARD || a->forward.groups[0].group < c->groups_n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct load_options o = {.env = {.lookup = lookup}, .root = "/nonexistent"};
    struct report r;
    if (n > TEXT_MAX)
        return 0;
    report_init(&r);
    struct config *c = load_bytes(slice_of((const char *)data, n), "fuzz.yaml", &o, &r);
    CHECK((c == NULL) == (r.errors > 0));
    if (c)
        check_config(c);
    show(&r);
    model_free(c);
    report_fini(&r);
    return 0;
}
