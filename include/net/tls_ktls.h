/* TLS in the kernel (kTLS): OpenSSL agrees on the keys and gives them to the socket, and from then on
 * what is written to it becomes records there.
 *
 *   handshake ──tls_put──▶ cipher-out scratch ──▶ conn_wire           as on any TLS conn
 *       └ the kernel has the keys:
 *            conn_write(iov) ──one sendmsg──▶ socket                   conn->out holds plaintext
 *            OpenSSL's own records (tickets, alerts) ──▶ socket         each with its type
 *
 * Input stays with OpenSSL: one recv brings many records, and OpenSSL 3.0 gives the kernel no keys of
 * TLS 1.3 to receive with. A kernel that does not want the keys (their cipher, no memory) changes
 * nothing: that connection is one like all others.
 *
 * What differs. The kernel cannot be given new keys, so a peer that asks for them (KeyUpdate with
 * update_requested) is broken off. An alert that cannot go at once is not sent: one that breaks the
 * connection would be dropped with its output anyway, and the only other is the refusal of a
 * renegotiation. close_notify waits for its turn.
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
/* Why it is not used, for messages; static. "" when it is possible. */
const char *tls_ktls_why(enum tls_ktls found);

#endif
