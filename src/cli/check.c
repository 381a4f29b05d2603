/* `tenbin check [-c FILE] [--format text|json]`: is the file good, and the certificates and keys
 * that it names? Reads files only: no name is looked up, no address bound. Errors and warnings go
 * to standard error, JSON to standard output. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "config/load.h"
#include "config/tokens.h"
#include "net/tls_ctx.h"
#include "proxy/tls_store.h"

struct options {
    const char *path;
    bool json;
};

static int usage(const char *what, const char *arg)
{
    fprintf(stderr,
            "tenbin check: %s%s\n"
            "usage: tenbin check [-c FILE] [--format text|json]\n",
            what, arg);
    return COMMANDS_USAGE;
}

static bool parse_format(const char *text, struct options *o)
{
    o->json = strcmp(text, "json") == 0;
    return o->json || strcmp(text, "text") == 0;
}

/* COMMANDS_OK, or what the command ends with. */
static int parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        bool config = strcmp(argv[i], "-c") == 0, format = strcmp(argv[i], "--format") == 0;
        if (!config && !format)
            return usage("unknown argument ", argv[i]);
        if (i + 1 == argc)
            return usage("a value is missing after ", argv[i]);
        i++;
        if (config)
            o->path = argv[i];
        else if (!parse_format(argv[i], o))
            return usage("no such format: ", argv[i]);
    }
    return COMMANDS_OK;
}

static void print_summary(const struct config *c)
{
    size_t rules = 0, targets = 0;
    for (size_t i = 0; i < c->listeners_n; i++)
        rules += c->listeners[i].rules_n;
    for (size_t i = 0; i < c->groups_n; i++)
        targets += c->groups[i].targets_n;
    printf("%s: ok: listeners %zu, rules %zu, target groups %zu, targets %zu\n", c->path,
           c->listeners_n, rules, c->groups_n, targets);
}

static void print_certificates(const struct snapshot *s)
{
    for (size_t i = 0; i < s->listeners_n; i++)
        for (size_t j = 0; j < s->listeners[i].config->certificates_n; j++) {
            char text[32];
            time_t end = (time_t)tls_ctx_expiry(s->listeners[i].tls, j);
            struct tm tm;
            strftime(text, sizeof(text), "%F %T", gmtime_r(&end, &tm));
            printf("%s: valid until %s UTC\n",
                   s->listeners[i].config->certificates[j].certificate.path.p, text);
        }
}

/* s: a good one, or NULL. */
static void print(const struct snapshot *s, const struct report *r, bool json)
{
    struct strbuf out;
    strbuf_init(&out);
    strbuf_str(&out, "");
    if (json)
        report_json(r, &out);
    else
        report_text(r, &out);
    fputs(out.p, json ? stdout : stderr);
    strbuf_fini(&out);
    if (!s || json)
        return;
    print_certificates(s);
    print_summary(s->config);
}

int check_main(int argc, char **argv)
{
    struct options o = {.path = COMMANDS_CONFIG_PATH};
    struct load_options load = load_options_default();
    struct report report;
    int rc = parse_options(argc, argv, &o);
    if (rc)
        return rc;
    report_init(&report);
    struct config *c = load_path(o.path, &load, &report);
    struct snapshot *s = c ? snapshot_compile(c, 1) : NULL;
    struct tls_store_options tls = tls_store_options_default(NULL, NULL);
    bool tokens = c && tokens_read(c, &report);
    bool good = s && tls_store_load(s, &tls, &report) && tokens;
    print(good ? s : NULL, &report, o.json);
    rc = good ? COMMANDS_OK : COMMANDS_BAD;
    if (s)
        snapshot_free(s, NULL);
    report_fini(&report);
    return rc;
}
