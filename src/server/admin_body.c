#include "server/admin_body.h"

#include "config/decode.h"
#include "server/admin_routes.h"

#define NAME "request" /* no slash: what is relative in it stays so */

void admin_body_addr(struct schema_ctx *x, const struct schema_key *key,
                     const struct yaml_tree_node *node, void *to)
{
    if (node)
        (void)decode_addr(x, key, node, to);
}

static void explain(const struct report *r, struct admin_answer *answer)
{
    struct strbuf text;
    const struct report_entry *e = r->first;
    strbuf_init(&text);
    strbuf_str(&text, e ? e->message : "the body makes no sense");
    if (e && e->suggestion)
        strbuf_printf(&text, "; did you mean \"%s\"?", e->suggestion);
    else if (e && e->expected)
        strbuf_printf(&text, "; expected %s", e->expected);
    admin_routes_error(answer, 400, "%s", text.p);
    strbuf_fini(&text);
}

bool admin_body_decode(const struct admin_request *r, const struct schema_key *keys,
                       struct arena *a, void *to, struct admin_answer *answer)
{
    struct report report;
    struct schema_ctx x = {.arena = a, .report = &report, .root = ""};
    report_init(&report);
    const struct yaml_tree_node *root = yaml_tree_parse(a, &report, NAME, r->body, NULL);
    if (root)
        schema_map(&x, keys, "the request", root, to);
    bool good = root && report.errors == 0;
    if (!good)
        explain(&report, answer);
    report_fini(&report);
    return good;
}
