/* null_relay: the least that a proxy can cost on this machine.
 *
 *     client ⇄ end ⇄ end ⇄ target        one pair for life, targets in turn
 *
 * One thread, level-triggered epoll, each byte received into one shared 64 KiB buffer and sent on
 * from there; nothing is parsed, logged or timed. What any other proxy costs above this relay in
 * the same run is its own work. Backpressure and half-close are right all the same: an end whose
 * peer refuses bytes is not read until those are gone, and the end of input travels on behind the
 * last byte. When both directions have ended, or either end failed, the pair is closed. */
#include "tool.h"

#include <getopt.h>
#include <stdbool.h>

enum { BUFFER_BYTES = 64 * 1024, EVENTS_PER_WAIT = 256, TARGETS_MAX = 64 };

struct end {
    int fd;
    struct end *peer;
    struct pair *pair;
    uint32_t watched;
    bool input_ended;
    bool output_ended;
    /* What this end's socket refused; its peer is not read while any is left. */
    char *held;
    size_t held_bytes;
    size_t held_sent;
};

struct pair {
    struct end client;
    struct end target;
    bool closed;
    struct pair *next_closed;
};

struct relay {
    int epoll;
    int listener;
    struct sockaddr_in targets[TARGETS_MAX];
    unsigned target_count;
    unsigned next_target;
    /* Freed after the batch of events: a later event of it may name the pair. */
    struct pair *closed;
    char buffer[BUFFER_BYTES];
};

static void close_pair(struct relay *relay, struct pair *pair)
{
    if (pair->closed)
        return;
    pair->closed = true;
    close(pair->client.fd);
    close(pair->target.fd);
    pair->next_closed = relay->closed;
    relay->closed = pair;
}

static void reap(struct relay *relay)
{
    while (relay->closed) {
        struct pair *pair = relay->closed;
        relay->closed = pair->next_closed;
        free(pair->client.held);
        free(pair->target.held);
        free(pair);
    }
}

static void watch(struct relay *relay, struct end *end)
{
    uint32_t wanted = 0;
    if (!end->input_ended && !end->peer->held_bytes)
        wanted |= EPOLLIN;
    if (end->held_bytes)
        wanted |= EPOLLOUT;
    if (wanted == end->watched)
        return;
    /* Out of the set altogether when nothing is wanted: EPOLLHUP cannot be masked. */
    int operation = !end->watched ? EPOLL_CTL_ADD : wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    tool_watch(relay->epoll, operation, end->fd, wanted, end);
    end->watched = wanted;
}

static void end_output(struct relay *relay, struct end *end)
{
    end->output_ended = true;
    shutdown(end->fd, SHUT_WR);
    if (end->peer->output_ended)
        close_pair(relay, end->pair);
}

static void hold(struct end *end, const char *bytes, size_t count)
{
    if (!end->held)
        end->held = tool_alloc(1, BUFFER_BYTES);
    memcpy(end->held, bytes, count);
    end->held_bytes = count;
    end->held_sent = 0;
}

static bool refused_for_now(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINTR);
}

static void forward(struct relay *relay, struct end *to, const char *bytes, size_t count)
{
    ssize_t sent = send(to->fd, bytes, count, MSG_NOSIGNAL);
    if (sent == (ssize_t)count)
        return;
    if (sent < 0 && !refused_for_now(sent)) {
        close_pair(relay, to->pair);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    hold(to, bytes + done, count - done);
    watch(relay, to);
    watch(relay, to->peer);
}

static void read_end(struct relay *relay, struct end *end)
{
    ssize_t got = recv(end->fd, relay->buffer, sizeof relay->buffer, 0);
    if (got > 0) {
        forward(relay, end->peer, relay->buffer, (size_t)got);
    } else if (got == 0) {
        end->input_ended = true;
        watch(relay, end);
        end_output(relay, end->peer);
    } else if (!refused_for_now(got)) {
        close_pair(relay, end->pair);
    }
}

static void drain_end(struct relay *relay, struct end *end)
{
    ssize_t sent =
        send(end->fd, end->held + end->held_sent, end->held_bytes - end->held_sent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (!refused_for_now(sent))
            close_pair(relay, end->pair);
        return;
    }
    end->held_sent += (size_t)sent;
    if (end->held_sent < end->held_bytes)
        return;
    end->held_bytes = 0;
    watch(relay, end);
    watch(relay, end->peer);
}

static void serve(struct relay *relay, struct end *end, uint32_t events)
{
    if (end->pair->closed)
        return;
    if (events & EPOLLERR) {
        close_pair(relay, end->pair);
        return;
    }
    if ((events & (EPOLLOUT | EPOLLHUP)) && end->held_bytes)
        drain_end(relay, end);
    if (!end->pair->closed && (events & (EPOLLIN | EPOLLHUP)) && (end->watched & EPOLLIN))
        read_end(relay, end);
}

static void start_end(struct pair *pair, struct end *end, struct end *peer)
{
    end->pair = pair;
    end->peer = peer;
}

static void pair_up(struct relay *relay, int client)
{
    int target = tool_connect(&relay->targets[relay->next_target]);
    relay->next_target = (relay->next_target + 1) % relay->target_count;
    if (target < 0) {
        close(client);
        return;
    }
    struct pair *pair = tool_alloc(1, sizeof *pair);
    pair->client.fd = client;
    pair->target.fd = target;
    start_end(pair, &pair->client, &pair->target);
    start_end(pair, &pair->target, &pair->client);
    watch(relay, &pair->client);
    watch(relay, &pair->target);
}

static void accept_all(struct relay *relay)
{
    int client;
    while ((client = tool_accept(relay->listener)) >= 0)
        pair_up(relay, client);
}

static void run(struct relay *relay)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(relay->epoll, events, EVENTS_PER_WAIT, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(relay, events[i].data.ptr, events[i].events);
            else
                accept_all(relay);
        }
        reap(relay);
    }
}

static void usage(void)
{
    tool_die("usage: null_relay --listen ip:port --target ip:port [--target ip:port ...]");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"target", required_argument, NULL, 't'}, {0}};
    static struct relay relay;
    const char *listen_on = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l')
            listen_on = optarg;
        else if (option == 't' && relay.target_count < TARGETS_MAX)
            relay.targets[relay.target_count++] = tool_address(optarg);
        else
            usage();
    }
    if (!listen_on || !relay.target_count || optind != argc)
        usage();
    tool_raise_files();
    relay.epoll = tool_epoll();
    relay.listener = tool_listen(listen_on);
    tool_watch(relay.epoll, EPOLL_CTL_ADD, relay.listener, EPOLLIN, NULL);
    run(&relay);
}
