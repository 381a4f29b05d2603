#include "server/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "net/socket.h"

void listeners_init(struct listeners *l, unsigned workers)
{
    *l = (struct listeners){.workers = workers, .next_id = 1};
    list_init(&l->sockets);
}

static bool is_unix(const struct listen_socket *s)
{
    return addr_family(&s->addr) == AF_UNIX;
}

/* ---- one socket ---- */

static struct listen_socket *socket_new(struct listeners *l, const struct addr *addr)
{
    struct listen_socket *s = calloc(1, sizeof(*s));
    CHECK(s);
    s->addr = *addr;
    s->text[addr_format(addr, s->text)] = '\0';
    s->id = l->next_id++;
    s->wanted = s->fresh = true;
    s->fds = malloc(l->workers * sizeof(*s->fds));
    CHECK(s->fds);
    for (unsigned w = 0; w < l->workers; w++)
        s->fds[w] = -1;
    list_push_back(&l->sockets, &s->node);
    return s;
}

/* Unless somebody has put another socket there meanwhile. */
static void remove_path(const struct listen_socket *s)
{
    struct stat st;
    if (s->ino && stat(s->addr.un.sun_path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        (void)unlink(s->addr.un.sun_path);
}

static void socket_free(struct listeners *l, struct listen_socket *s)
{
    for (unsigned w = 0; w < l->workers; w++)
        if (s->fds[w] >= 0)
            close(s->fds[w]);
    if (is_unix(s))
        remove_path(s);
    list_del(&s->node);
    free(s->fds);
    free(s);
}

static void remember_inode(struct listen_socket *s)
{
    struct stat st;
    if (stat(s->addr.un.sun_path, &st) < 0)
        return;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
}

static enum err bind_unix(struct listeners *l, struct listen_socket *s)
{
    enum err e = socket_bind(&s->addr, false, LISTENERS_UNIX_MODE, &s->fds[0]);
    if (e != OK)
        return e;
    remember_inode(s);
    for (unsigned w = 1; w < l->workers; w++) {
        s->fds[w] = fcntl(s->fds[0], F_DUPFD_CLOEXEC, 0);
        if (s->fds[w] < 0)
            return ERR_SYSTEM;
    }
    return OK;
}

static bool overlaps_ours(const struct listeners *l, const struct listen_socket *s)
{
    list_each(n, next, &l->sockets) {
        const struct listen_socket *other = list_entry(n, struct listen_socket, node);
        if (other != s && addr_overlaps(&other->addr, &s->addr))
            return true;
    }
    return false;
}

/* A socket of ours that is about to go may overlap a new one: then there is nobody else to find. */
static enum err bind_tcp(struct listeners *l, struct listen_socket *s)
{
    enum err e = overlaps_ours(l, s) ? OK : socket_probe(&s->addr);
    for (unsigned w = 0; w < l->workers && e == OK; w++)
        e = socket_bind(&s->addr, true, 0, &s->fds[w]);
    return e;
}

/* ---- all of them ---- */

static struct listen_socket *find(const struct listeners *l, const struct addr *addr)
{
    list_each(n, next, &l->sockets) {
        struct listen_socket *s = list_entry(n, struct listen_socket, node);
        if (addr_eq(&s->addr, addr))
            return s;
    }
    return NULL;
}

static enum err want(struct listeners *l, const struct config_listener *c, const struct addr *addr,
                     struct strbuf *why)
{
    struct listen_socket *s = find(l, addr);
    if (s) {
        s->wanted = true;
        return OK;
    }
    s = socket_new(l, addr);
    enum err e = is_unix(s) ? bind_unix(l, s) : bind_tcp(l, s);
    if (e != OK)
        strbuf_printf(why, "listener %s: %s: %s", c->name.p, s->text, strerror(errno));
    return e;
}

enum err listeners_bind(struct listeners *l, const struct config *c, struct strbuf *why)
{
    list_each(n, next, &l->sockets)
        list_entry(n, struct listen_socket, node)->wanted = false;
    for (size_t i = 0; i < c->listeners_n; i++) {
        const struct config_listener *k = &c->listeners[i];
        for (size_t j = 0; j < k->listen_n; j++) {
            enum err e = want(l, k, &k->listen[j].addr, why);
            if (e == OK)
                continue;
            listeners_rollback(l);
            return e;
        }
    }
    return OK;
}

void listeners_rollback(struct listeners *l)
{
    list_each(n, next, &l->sockets) {
        struct listen_socket *s = list_entry(n, struct listen_socket, node);
        if (s->fresh)
            socket_free(l, s);
    }
}

static size_t count_wanted(const struct listeners *l)
{
    size_t count = 0;
    list_each(n, next, &l->sockets)
        count += list_entry(n, struct listen_socket, node)->wanted;
    return count;
}

static struct listen_entry hand_over(struct listen_socket *s, unsigned worker, unsigned slot)
{
    struct listen_entry e = {.id = s->id, .fd = s->fds[worker], .slot = slot, .addr = s->addr};
    s->fds[worker] = -1;
    return e;
}

struct listen_plan *listeners_plan(struct listeners *l, const struct snapshot *s, unsigned worker)
{
    size_t room = count_wanted(l);
    struct listen_plan *plan = malloc(sizeof(*plan) + room * sizeof(plan->entries[0]));
    CHECK(plan);
    plan->n = 0;
    for (size_t i = 0; i < s->listeners_n; i++) {
        const struct listener *k = &s->listeners[i];
        for (size_t j = 0; j < k->config->listen_n; j++) {
            struct listen_socket *found = find(l, &k->config->listen[j].addr);
            CHECK(found && plan->n < room);
            plan->entries[plan->n++] = hand_over(found, worker, k->slot);
        }
    }
    return plan;
}

void listeners_commit(struct listeners *l)
{
    list_each(n, next, &l->sockets) {
        struct listen_socket *s = list_entry(n, struct listen_socket, node);
        s->fresh = false;
        if (!s->wanted)
            socket_free(l, s);
    }
}

void listeners_fini(struct listeners *l)
{
    list_each(n, next, &l->sockets)
        socket_free(l, list_entry(n, struct listen_socket, node));
}
