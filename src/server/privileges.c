/* Capabilities belong to threads: CAP_NET_BIND_SERVICE stays with the control thread, which binds,
 * and a new thread gives it up first thing (server/thread.c). The C library has no wrapper for
 * capset(2). */
#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool set_capabilities(uint32_t bits)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = bits, .permitted = bits}};
    return syscall(SYS_capset, &header, data) == 0;
}

/* In a container root may not have that power either: then low ports cannot be bound. */
static bool keep_binding(void)
{
    return set_capabilities(1u << CAP_NET_BIND_SERVICE) || set_capabilities(0);
}

static bool become(const struct passwd *pw)
{
    return prctl(PR_SET_KEEPCAPS, 1) == 0 && initgroups(pw->pw_name, pw->pw_gid) == 0 &&
           setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
           setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0 && keep_binding() &&
           prctl(PR_SET_KEEPCAPS, 0) == 0 &&
           /* Core files and debuggers, which a change of user switched off. */
           prctl(PR_SET_DUMPABLE, 1) == 0;
}

enum err privileges_drop(struct slice user, bool *changed, struct strbuf *why)
{
    *changed = false;
    if (!user.n)
        return OK;
    errno = 0;
    const struct passwd *pw = getpwnam(user.p);
    if (!pw) {
        strbuf_printf(why, "user %s: %s", user.p, errno ? strerror(errno) : "no such user");
        return ERR_NOT_FOUND;
    }
    if (pw->pw_uid == geteuid())
        return OK;
    if (geteuid() != 0) {
        strbuf_printf(why, "user %s: only root can become another user", user.p);
        return ERR_REFUSED;
    }
    if (!become(pw)) {
        strbuf_printf(why, "user %s: %s", user.p, strerror(errno));
        return ERR_SYSTEM;
    }
    *changed = true;
    return OK;
}

void privileges_none(void)
{
    if (geteuid() != 0)
        (void)set_capabilities(0);
}
