#include "base/err.h"

const char *err_text(enum err e)
{
    switch (e) {
    case OK:
        return "ok";
    case ERR_AGAIN:
        return "try again";
    case ERR_EOF:
        return "end of stream";
    case ERR_RESET:
        return "connection reset";
    case ERR_REFUSED:
        return "connection refused";
    case ERR_TIMEOUT:
        return "timed out";
    case ERR_LIMIT:
        return "limit reached";
    case ERR_NOMEM:
        return "out of memory or descriptors";
    case ERR_SYNTAX:
        return "malformed";
    case ERR_UNSUPPORTED:
        return "not supported";
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_EXISTS:
        return "already there";
    case ERR_TLS:
        return "TLS handshake failed";
    case ERR_TLS_TIMEOUT:
        return "TLS handshake timed out";
    case ERR_SYSTEM:
        return "system error";
    }
    return "unknown error";
}
