/* What a function that can fail returns. One enum for the whole program, so that a result can
 * travel up unchanged; the text is for logs, not for users of an API. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))

enum err {
    OK = 0,
    ERR_AGAIN,    /* nothing now: the event loop will tell when to try again */
    ERR_EOF,      /* the peer ended its half in an orderly way */
    ERR_RESET,    /* the peer broke the connection (RST), or a write failed for good */
    ERR_REFUSED,  /* connect failed: refused, unreachable */
    ERR_TIMEOUT,  /* a deadline passed */
    ERR_LIMIT,    /* a configured limit is reached */
    ERR_NOMEM,    /* no memory or no descriptor */
    ERR_SYNTAX,   /* the input is malformed */
    ERR_UNSUPPORTED, /* well formed, but we do not do that */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_TLS,         /* a TLS handshake failed */
    ERR_TLS_TIMEOUT, /* a TLS handshake was not done in time */
    ERR_SYSTEM,   /* a system call failed: errno tells */
};

/* A static lower-case text, never NULL. */
const char *err_text(enum err e);

#endif
