/* TLS in the kernel (kTLS): could it be had here? Records are encrypted by OpenSSL between our own
 * scratches, which saves more system calls than the kernel's encryption would for what a load
 * balancer moves, so there is no path through the kernel yet; whoever asks for it is told so.
 * https://docs.kernel.org/networking/tls.html */
#ifndef NET_TLS_KTLS_H
#define NET_TLS_KTLS_H

enum tls_ktls {
    TLS_KTLS_NO_KERNEL,  /* it has no module "tls" */
    TLS_KTLS_NO_OPENSSL, /* it was built without */
    TLS_KTLS_POSSIBLE,   /* both could */
};

/* Asks the kernel: one socket, no connection. Any thread. */
enum tls_ktls tls_ktls_probe(void);
/* Why it is not used, for messages; static. */
const char *tls_ktls_why(enum tls_ktls found);

#endif
