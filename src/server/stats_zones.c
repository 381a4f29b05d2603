/* The zones of a group in /status: how many of its targets are healthy there, and the share of this
 * node's work that a zone gets once all shares stand still. */
#include <stdlib.h>

#include "base/check.h"
#include "server/stats.h"
#include "upstream/group_zones.h"

static void write_zone(struct strbuf *b, const struct group_zone *z, const struct zone_input *in,
                       const struct zone_output *out)
{
    strbuf_str(b, "{\"zone\":");
    if (z->name.n)
        strbuf_json(b, z->name);
    else
        strbuf_str(b, "null");
    strbuf_printf(b, ",\"targets\":%u,\"healthy\":%u,\"shifted\":%s,\"share\":%u.%04u}",
                  in->targets, in->healthy, in->shifted ? "true" : "false", out->share / ZONE_WHOLE,
                  out->share % ZONE_WHOLE);
}

void stats_zones_write(const struct group *g, struct strbuf *out)
{
    size_t n = g->zones.n;
    struct zone_input *in = calloc(n + 1, sizeof(*in));
    struct zone_output *shares = calloc(n + 1, sizeof(*shares));
    CHECK(in && shares);
    group_zones_look(g, in);
    if (n)
        (void)zone_plan(&g->zones.rules, in, n, NULL, 0, shares);
    strbuf_str(out, "[");
    for (size_t i = 0; i < n; i++) {
        strbuf_str(out, i ? "," : "");
        write_zone(out, &g->zones.all[i], &in[i], &shares[i]);
    }
    strbuf_str(out, "]");
    free(shares);
    free(in);
}
