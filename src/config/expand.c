#include "config/expand.h"

#include "base/strbuf.h"

#define NAME_MAX_BYTES 128

/* One `${...}`. */
struct reference {
    char name[NAME_MAX_BYTES + 1];
    struct slice fallback;
    bool has_fallback;
    size_t length; /* from `$` to `}` */
};

const char *expand_lookup(const struct expand_env *env, const char *name)
{
    return env->lookup ? env->lookup(env->ctx, name) : NULL;
}

static bool is_name_byte(char c, bool first)
{
    bool letter = slice_lower(c) >= 'a' && slice_lower(c) <= 'z';
    return letter || c == '_' || (!first && c >= '0' && c <= '9');
}

/* s begins with `${`. */
static bool parse_reference(struct slice s, struct reference *ref)
{
    size_t end = slice_find(s, '}', 2), n = 0;
    if (end == s.n)
        return false;
    struct slice inside = slice_of(s.p + 2, end - 2);
    while (n < inside.n && is_name_byte(inside.p[n], n == 0))
        n++;
    struct slice rest = slice_from(inside, n);
    ref->has_fallback = slice_starts(rest, SLICE(":-"));
    if (n == 0 || n > NAME_MAX_BYTES || (rest.n && !ref->has_fallback))
        return false;
    memcpy(ref->name, inside.p, n);
    ref->name[n] = '\0';
    ref->fallback = ref->has_fallback ? slice_from(rest, 2) : (struct slice){0};
    ref->length = end + 1;
    return true;
}

/* Puts the value of the reference at the head of s; returns how much of s it took, 0 after an
 * error. */
static size_t put_reference(struct strbuf *out, struct report *r, struct config_pos pos,
                            struct slice s, const struct expand_env *env)
{
    struct reference ref;
    if (!parse_reference(s, &ref)) {
        struct report_entry *e = report_error(r, pos, "a variable is not written as it should be");
        report_expected(r, e, SLICE("${NAME} or ${NAME:-default}; $${ for the characters ${"));
        return 0;
    }
    const char *value = expand_lookup(env, ref.name);
    if (ref.has_fallback && (!value || !*value)) {
        strbuf_slice(out, ref.fallback);
    } else if (value) {
        strbuf_str(out, value);
    } else {
        struct report_entry *e = report_error(r, pos, "$%s is not set", ref.name);
        report_hint(r, e, "${%s:-default} gives it a default", ref.name);
        return 0;
    }
    return ref.length;
}

static bool expand(struct strbuf *out, struct report *r, struct config_pos pos, struct slice text,
                   const struct expand_env *env)
{
    while (text.n) {
        size_t dollar = slice_find(text, '$', 0), took = 1;
        strbuf_slice(out, slice_upto(text, dollar));
        text = slice_from(text, dollar);
        if (slice_starts(text, SLICE("$${"))) {
            strbuf_str(out, "${");
            took = 3;
        } else if (slice_starts(text, SLICE("${"))) {
            took = put_reference(out, r, pos, text, env);
        } else {
            strbuf_slice(out, slice_upto(text, 1));
        }
        if (took == 0)
            return false;
        if (out->n > EXPAND_MAX) {
            report_error(r, pos, "longer than %d bytes with its variables", EXPAND_MAX);
            return false;
        }
        text = slice_from(text, took);
    }
    return true;
}

struct slice expand_text(struct arena *a, struct report *r, struct config_pos pos,
                         struct slice text, const struct expand_env *env)
{
    struct strbuf out;
    if (!memmem(text.p, text.n, "${", 2))
        return text;
    strbuf_init(&out);
    if (expand(&out, r, pos, text, env))
        text = arena_slice(a, strbuf_get(&out));
    strbuf_fini(&out);
    return text;
}
