#include "proxy/retry.h"

bool retry_allowed(const struct retry_facts *f)
{
    if (f->any_byte_received)
        return false;
    if (!f->any_byte_written)
        return true;
    return !f->raw && f->idempotent && !f->has_body;
}
