/* A name server on loopback for unit tests: its socket is read between turns of the test's loop, by
 * the test's own thread. It knows "NAME TYPE" -> the bytes of one record; of all else it says
 * NXDOMAIN. */
#ifndef TESTS_SUPPORT_NAME_SERVER_H
#define TESTS_SUPPORT_NAME_SERVER_H

#include "net/addr.h"
#include "net/loop.h"

struct name_server_record {
    const char *name;
    uint16_t type; /* 1 A, 28 AAAA, 33 SRV */
    uint8_t data[64];
    size_t n;
    uint32_t ttl;
};

struct name_server {
    int fd;
    struct addr addr;
    struct name_server_record records[32];
    size_t records_n;
    uint8_t code; /* of every answer; 0: as it knows */
    bool silent;
    unsigned asked, most_waiting;
};

void name_server_init(struct name_server *s);
void name_server_fini(struct name_server *s);
void name_server_a(struct name_server *s, const char *name, const char *ip, uint32_t ttl);
void name_server_srv(struct name_server *s, const char *name, const char *host, uint16_t port,
                     uint16_t priority, uint16_t weight, uint32_t ttl);
/* Answers what has come. */
void name_server_turn(struct name_server *s);

#endif
