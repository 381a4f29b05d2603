#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tls_internal.h"

#define SAID_MAX 512
#define PIECE    (64u * 1024)

bool tls_pem_complain(const struct tls_ctx_complaints *to, enum tls_ctx_about about, size_t pair,
                      bool error, const char *fmt, ...)
{
    char text[SAID_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    to->say(to->to, about, pair, error, text);
    return false;
}

const char *tls_pem_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text ? text : "unknown error";
}

void tls_pem_name(X509 *x, char to[128])
{
    X509_NAME_oneline(X509_get_subject_name(x), to, 128);
}

int64_t tls_pem_seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MAX;
}

/* 0, or errno. */
static int read_all(FILE *f, BIO *to, size_t max)
{
    char *piece = malloc(PIECE);
    size_t n, all = 0;
    CHECK(piece);
    while ((n = fread(piece, 1, PIECE, f)) && (all += n) < max)
        BIO_write(to, piece, (int)n);
    int error = ferror(f) ? errno : all >= max ? EFBIG : 0;
    crypto_wipe(piece, PIECE);
    free(piece);
    return error;
}

BIO *tls_pem_open(const char *path, size_t max)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    setbuf(f, NULL); /* no copy of a key stays in a buffer of stdio's */
    BIO *b = BIO_new(BIO_s_secmem());
    CHECK(b);
    int error = read_all(f, b, max);
    fclose(f);
    if (error) {
        BIO_free(b);
        b = NULL;
    }
    errno = error;
    return b;
}

int tls_pem_no_password(char *to, int size, int writing, void *ctx)
{
    (void)to, (void)size, (void)writing, (void)ctx;
    return -1;
}

bool tls_pem_ended(void)
{
    unsigned long e = ERR_peek_last_error();
    return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}
