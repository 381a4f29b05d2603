#include "proxy/websocket.h"

#include "net/crypto.h"

/* The only line with that name; NULL: there is none, or several. */
static const struct field *only(const struct fields *fields, struct slice name)
{
    const struct field *found = NULL;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!slice_ieq(fields->at[i].name, name))
            continue;
        if (found)
            return NULL;
        found = &fields->at[i];
    }
    return found;
}

bool websocket_agreed(const struct fields *request, const struct fields *response)
{
    char accept[CRYPTO_ACCEPT_BYTES];
    const struct field *key = only(request, SLICE("sec-websocket-key"));
    const struct field *said = only(response, SLICE("sec-websocket-accept"));
    if (!key || !said || key->value.n > CRYPTO_ACCEPT_KEY_MAX)
        return false;
    crypto_websocket_accept(key->value, accept);
    return slice_eq(said->value, slice_of(accept, sizeof(accept)));
}
