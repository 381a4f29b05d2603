/* calibrate: what the machine itself costs today, so that two reports can be compared.
 *
 *   getppid_ns          an empty system call
 *   local_pair_ns       send + recv of 128 bytes over a loopback connection, one thread
 *   round_trip_us       there and back between two processes (on two CPUs when there are two)
 *   memcpy_*_gbps       copying, by size of the piece
 *
 * Prints one JSON object; takes about a second. */
#include "tool.h"

#include <sched.h>
#include <sys/wait.h>

enum { MESSAGE_BYTES = 128, CALLS = 1000000, PAIRS = 100000, TRIPS = 20000 };

static double getppid_ns(void)
{
    uint64_t start_ns = tool_now_ns();
    for (int i = 0; i < CALLS; i++)
        getppid();
    return (double)(tool_now_ns() - start_ns) / CALLS;
}

/* Both ends of one blocking loopback connection. */
static void connect_ends(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || ends[0] < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
        listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        connect(ends[0], (struct sockaddr *)&address, length) < 0)
        tool_die("loopback connection: %s", strerror(errno));
    ends[1] = accept(listener, NULL, NULL);
    if (ends[1] < 0)
        tool_die("accept: %s", strerror(errno));
    close(listener);
    tool_nodelay(ends[0]);
    tool_nodelay(ends[1]);
}

static void send_message(int fd)
{
    static const char message[MESSAGE_BYTES];
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
        tool_die("send: %s", strerror(errno));
}

static void receive_message(int fd)
{
    char message[MESSAGE_BYTES];
    if (recv(fd, message, sizeof message, MSG_WAITALL) != sizeof message)
        tool_die("recv: %s", strerror(errno));
}

static double local_pair_ns(void)
{
    int ends[2];
    connect_ends(ends);
    uint64_t start_ns = tool_now_ns();
    for (int i = 0; i < PAIRS; i++) {
        send_message(ends[0]);
        receive_message(ends[1]);
    }
    double each = (double)(tool_now_ns() - start_ns) / PAIRS;
    close(ends[0]);
    close(ends[1]);
    return each;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void answer(int fd)
{
    for (int i = 0; i < TRIPS; i++) {
        receive_message(fd);
        send_message(fd);
    }
}

static double round_trip_us(void)
{
    int ends[2];
    connect_ends(ends);
    pid_t child = fork();
    if (child < 0)
        tool_die("fork: %s", strerror(errno));
    if (child == 0) {
        pin(1);
        answer(ends[1]);
        _exit(0);
    }
    pin(0);
    uint64_t start_ns = tool_now_ns();
    for (int i = 0; i < TRIPS; i++) {
        send_message(ends[0]);
        receive_message(ends[0]);
    }
    double each = (double)(tool_now_ns() - start_ns) / TRIPS / 1e3;
    waitpid(child, NULL, 0);
    return each;
}

static double memcpy_gbps(size_t piece)
{
    size_t pieces = ((size_t)1 << 30) / piece;
    char *from = tool_alloc(1, piece), *to = tool_alloc(1, piece);
    memset(from, 1, piece);
    memcpy(to, from, piece);
    uint64_t start_ns = tool_now_ns();
    for (size_t i = 0; i < pieces; i++) {
        memcpy(to, from, piece);
        __asm__ volatile("" ::"r"(to) : "memory");
    }
    double seconds = (double)(tool_now_ns() - start_ns) / 1e9;
    free(from);
    free(to);
    return (double)(pieces * piece) / 1e9 / seconds;
}

int main(void)
{
    printf("{\"getppid_ns\": %.1f, \"local_pair_ns\": %.1f, \"round_trip_us\": %.2f", getppid_ns(),
           local_pair_ns(), round_trip_us());
    for (size_t kib = 16; kib <= 1024; kib *= 4)
        printf(", \"memcpy_%zuk_gbps\": %.1f", kib, memcpy_gbps(kib << 10));
    printf("}\n");
    return 0;
}
