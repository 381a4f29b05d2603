#include "server/access.h"

#include "base/check.h"
#include "net/crypto.h"

/* The highest role of those that have this token. */
static enum config_role role_of(const struct config_admin *c, struct slice token)
{
    enum config_role role = CONFIG_ROLE_NONE;
    for (size_t i = 0; i < c->tokens_n; i++) {
        const struct config_token *t = &c->tokens[i];
        bool same = t->secret.n && crypto_same(token.p, token.n, t->secret.p, t->secret.n);
        if (same && t->role > role)
            role = t->role;
    }
    return role;
}

enum access_verdict access_check(const struct config_admin *c, const struct admin_request *r,
                                 enum config_role needed)
{
    if (c->tokens_n == 0)
        return needed == CONFIG_ROLE_OPERATOR && !r->unix_socket ? ACCESS_NO_TOKENS
                                                                 : ACCESS_GRANTED;
    if (r->token.n == 0)
        return ACCESS_TOKEN_MISSING;
    enum config_role has = role_of(c, r->token);
    if (has == CONFIG_ROLE_NONE)
        return ACCESS_TOKEN_WRONG;
    return has >= needed ? ACCESS_GRANTED : ACCESS_ROLE_TOO_LOW;
}

static const struct {
    unsigned status;
    const char *text;
} verdicts[] = {
    [ACCESS_GRANTED] = {200, ""},
    [ACCESS_TOKEN_MISSING] = {401, "a token is needed (Authorization: Bearer TOKEN)"},
    [ACCESS_TOKEN_WRONG] = {401, "this token is not one of admin.tokens"},
    [ACCESS_ROLE_TOO_LOW] = {403,
                             "this is the token of a viewer, and only an operator may do that"},
    [ACCESS_NO_TOKENS] = {403,
                          "changes over TCP need the token of an operator, and admin.tokens has "
                          "none: add one, or let admin listen on a unix socket"},
};

unsigned access_status(enum access_verdict v)
{
    CHECK(v < ARRAY_LEN(verdicts));
    return verdicts[v].status;
}

const char *access_text(enum access_verdict v)
{
    CHECK(v < ARRAY_LEN(verdicts));
    return verdicts[v].text;
}
