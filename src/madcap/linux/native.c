/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hottest system calls of an emulator thread, several in one call from Python.
 *
 * listener.py does the same without this file; bin/build-native compiles it. The functions make the
 * calls that Python would make one after the other, and return what they returned (-errno on
 * failure). One thing goes further: a stat of a file of which Python said that policy lets it be seen,
 * or all in its directory (`madcap_allow`), is answered without asking again, as long as the policy
 * does not change (`madcap_forget`). Nothing else is decided here: whatever is unusual (a
 * link, a dot, an odd name, a device, /proc, any error but ENOENT and ENOTDIR) is left to Python.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define INTERFACE 5     /* native.py asks for it: a file that was built earlier is not used. */
#define CALLS 512       /* The size of the table that `madcap_receive` gets. */
#define TEXT 256        /* The size of its buffer. */
#define PAGE 4096
#define USER_LIMIT (1ULL << 47)
#define CROWD (-10001)  /* Nor is this: other calls wait all the time. */
#define OFTEN 16        /* Calls received from one look whether others wait to the next. */
#define CROWDED 4       /* So many looks in a row that find some call a helper. */
#define DESERTED 64     /* It goes when so many in a row found none, */
#define SOON 2          /* or none came for so long, in milliseconds. */
#define NO_WAY (-10000) /* Not an errno: the directory can't be entered, or has no name. */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "madcap knows x86_64 and aarch64"
#endif

int madcap_interface(void) { return INTERFACE; }

/* Open *path* from the directory *dirfd* of the task *tid* (0: of ours) as *how* says, and fill *st*.
 * *cwd*, of one page, gets the name of the directory unless it is NULL: with a *tid* this thread goes
 * there. Returns a descriptor. */
int madcap_look(int tid, int dirfd, const char *path, const void *how, char *cwd, struct stat *st)
{
    if (tid) {
        char here[48];
        if (dirfd == AT_FDCWD)
            snprintf(here, sizeof here, "/proc/%d/cwd", tid);
        else
            snprintf(here, sizeof here, "/proc/%d/fd/%d", tid, dirfd);
        if (chdir(here) < 0)
            return NO_WAY;
        dirfd = AT_FDCWD;
    }
    int fd = (int)syscall(SYS_openat2, dirfd, path, how, sizeof(struct open_how));
    if (fd < 0)
        return -errno;
    int error = 0;
    if (cwd && syscall(SYS_getcwd, cwd, PAGE) < 0)
        error = NO_WAY;
    else if (syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH) < 0)
        error = -errno;
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

/* Write *size* bytes at *local* to *remote* of the task *tid*, if the call that *answer* names still
 * waits, then close *fd* (-1: none) and send *answer*, as EFAULT where they could not be written. */
int madcap_answer(int listener, struct seccomp_notif_resp *answer, int tid, const void *local,
                  uint64_t remote, size_t size, int fd)
{
    if (size) {
        int valid;
        do
            valid = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &answer->id);
        while (valid < 0 && errno == EINTR);
        if (valid < 0) {
            int error = errno;
            if (fd >= 0)
                close(fd);
            return -error;
        }
        struct iovec from = {(void *)local, size}, to = {(void *)(uintptr_t)remote, size};
        if (process_vm_writev(tid, &from, 1, &to, 1, 0) != (ssize_t)size) {
            answer->val = 0;
            answer->error = -EFAULT;
        }
    }
    if (fd >= 0)
        close(fd);
    while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

/* What may be seen: a hash table of names, which are kept one after the other; that of a directory in
 * which everything may be seen ends in a slash. What does not fit any more makes it start anew. */
#define SLOTS 8192
#define MOST (SLOTS / 2)
#define ROOM (1 << 19)

static struct {
    pthread_mutex_t lock;
    int open; /* Whether anything may be answered at all. */
    unsigned count, used;
    struct {
        uint32_t hash, at, length;
    } slot[SLOTS];
    char names[ROOM];
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t hash_of(const char *name, size_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash;
}

/* Return the slot of *name*, or the free one where it would be. */
static unsigned slot_of(const char *name, size_t length, uint32_t hash)
{
    unsigned i = hash % SLOTS;
    while (known.slot[i].length &&
           (known.slot[i].hash != hash || known.slot[i].length != length ||
            memcmp(known.names + known.slot[i].at, name, length)))
        i = (i + 1) % SLOTS;
    return i;
}

static void empty(void)
{
    memset(known.slot, 0, sizeof known.slot);
    known.count = known.used = 0;
}

/* What is called *name* may be seen, or all in that directory. */
void madcap_allow(const char *name, size_t length)
{
    pthread_mutex_lock(&known.lock);
    if (known.open && length && length < PAGE) {
        if (known.count >= MOST || known.used + length > ROOM)
            empty();
        uint32_t hash = hash_of(name, length);
        unsigned i = slot_of(name, length, hash);
        if (!known.slot[i].length) {
            memcpy(known.names + known.used, name, length);
            known.slot[i].hash = hash;
            known.slot[i].at = known.used;
            known.slot[i].length = (uint32_t)length;
            known.used += length;
            known.count++;
        }
    }
    pthread_mutex_unlock(&known.lock);
}

/* Forget what was allowed; with *open* 0 take nothing new and answer nothing until it is 1. */
void madcap_forget(int open)
{
    pthread_mutex_lock(&known.lock);
    empty();
    known.open = open;
    pthread_mutex_unlock(&known.lock);
}

static int is_known(const char *name, size_t length)
{
    pthread_mutex_lock(&known.lock);
    int found = known.count && known.slot[slot_of(name, length, hash_of(name, length))].length;
    pthread_mutex_unlock(&known.lock);
    return found;
}

/* Tell whether *text* is the way to a file through directories, without dots, and what it ends in has
 * a name that nobody objects to. */
static int is_usual(const char *text, size_t length)
{
    if (!length || text[0] == '.' || !strncmp(text, "/dev", 4) || !strncmp(text, "/proc", 5))
        return 0;
    const char *base = text;
    for (const char *p = text; *p; p++)
        if (*p == '/') {
            if (p[1] == '/' || p[1] == '.' || !p[1])
                return 0;
            base = p + 1;
        }
    if (*base == '-')
        return 0;
    for (const char *p = base; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr("._+-,=@:", *p)))
            return 0;
    return 1;
}

/* Tell whether the link text *name* is something else than a path: the kernel marks what was deleted,
 * and a secret memory file, which counts as linked, looks as if it were one in the root. */
static int is_marked(const char *name, size_t length)
{
    static const char mark[] = " (deleted)";
    size_t size = sizeof mark - 1;
    return (length >= size && !memcmp(name + length - size, mark, size)) ||
           !strcmp(name, "/secretmem");
}

/* Pin what the descriptor *number* of the task *tid* refers to, and fill *name* and *st* from it. Returns
 * a descriptor, or -1 where that has no name below the root. */
static int look_behind(int tid, int number, int self_fd, char *name, struct stat *st)
{
    char link[48];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", tid, number);
    struct open_how how = {.flags = O_PATH | O_CLOEXEC};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, link, &how, sizeof how);
    if (fd < 0)
        return -1;
    /* Pipes, sockets and devices are Python's: for them this was in vain, so it is asked first. */
    if (syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH) == 0 &&
        (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode))) {
        snprintf(link, sizeof link, "%d", fd);
        ssize_t length = readlinkat(self_fd, link, name, PAGE);
        if (length > 0 && length < PAGE && name[0] == '/') {
            name[length] = 0;
            if (!is_marked(name, (size_t)length))
                return fd;
        }
    }
    close(fd);
    return -1;
}

/* Answer *call*, whose path is *text*, if it is a stat of something that is known; return whether it
 * was. *root* and *self_fd* are our descriptors of the root and of /proc/self/fd. *writer* names the
 * task from before it is found waiting until its memory was written to: the tracer looks at that. */
static int answered(int listener, const struct seccomp_notif *call, const char *text, int root,
                    int self_fd, atomic_ullong *writer)
{
    uint64_t flags = 0, out;
    int dirfd = AT_FDCWD;
    switch (call->data.nr) {
    case SYS_fstat:
        dirfd = (int)call->data.args[0];
        flags = AT_EMPTY_PATH;
        out = call->data.args[1];
        text = "";
        break;
#ifdef SYS_stat
    case SYS_lstat:
        flags = AT_SYMLINK_NOFOLLOW; /* fall through */
    case SYS_stat:
        out = call->data.args[1];
        break;
#endif
    case SYS_newfstatat:
        dirfd = (int)call->data.args[0];
        out = call->data.args[2];
        flags = (uint32_t)call->data.args[3];
        break;
    default:
        return 0;
    }
    size_t length = strlen(text);
    int behind = flags & AT_EMPTY_PATH && !length && dirfd >= 0;
    if (flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) || out < PAGE || out >= USER_LIMIT ||
        (dirfd < 0 && dirfd != AT_FDCWD) || !(behind || is_usual(text, length)))
        return 0;

    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    if (flags & AT_SYMLINK_NOFOLLOW)
        how.flags |= O_NOFOLLOW;
    char name[PAGE + TEXT + 2];
    struct stat st;
    struct seccomp_notif_resp answer = {.id = call->id};
    int fd;
    if (behind) {
        fd = look_behind((int)call->pid, dirfd, self_fd, name, &st);
    } else if (text[0] == '/') {
        memcpy(name, text, length + 1);
        fd = madcap_look(0, root, text, &how, NULL, &st);
    } else {
        fd = madcap_look((int)call->pid, dirfd, text, &how, name, &st);
        if (fd >= 0) {
            size_t above = strlen(name);
            if (above + length + 2 > sizeof name || name[0] != '/') {
                close(fd);
                return 0;
            }
            if (above > 1)
                name[above++] = '/';
            memcpy(name + above, text, length + 1);
        }
    }
    if (fd == -ENOENT || fd == -ENOTDIR) {
        answer.error = fd;
        madcap_answer(listener, &answer, 0, NULL, 0, 0, -1);
        return 1;
    }
    if (fd < 0)
        return 0;
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) || !strncmp(name, "/proc/", 6) ||
        !(is_known(name, (size_t)(strrchr(name, '/') + 1 - name)) || is_known(name, strlen(name)))) {
        close(fd);
        return 0;
    }
    atomic_store(writer, call->pid);
    madcap_answer(listener, &answer, (int)call->pid, &st, out, sizeof st, fd);
    atomic_store(writer, 0);
    return 1;
}

/* Whether a thread helps: there are two at most that receive. */
static atomic_int helping;

/* Tell whether a call waits that nobody received, or will in *patience* milliseconds. */
static int others_wait(int listener, int patience)
{
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    return poll(&waiting, 1, patience) > 0 && waiting.revents & POLLIN;
}

/* Wait for a notification. For a helper, which has *found* how often in a row none was there at once,
 * EAGAIN is the answer where it waits in vain or too often. One thread waits at a time: so who sees that
 * there is one gets it, and nobody is woken for what another one gets. */
static int next(int listener, struct seccomp_notif *call, int *found)
{
    static pthread_mutex_t turn = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
    int error = 0;
    if (found) {
        struct timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_nsec += SOON * 1000000L;
        if (end.tv_nsec >= 1000000000L) {
            end.tv_nsec -= 1000000000L;
            end.tv_sec++;
        }
        if (pthread_mutex_timedlock(&turn, &end))
            return EAGAIN;
        *found = others_wait(listener, 0) ? 0 : *found + 1;
        if (*found && (*found == DESERTED || !others_wait(listener, SOON)))
            error = EAGAIN;
    } else {
        pthread_mutex_lock(&turn);
    }
    if (!error && ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, call) < 0)
        error = errno;
    pthread_mutex_unlock(&turn);
    return error;
}

/* Receive a notification into *call*, and read the text that its argument which[number] - 1 points
 * to, as far as the page reaches. Returns how much was read into *text*, 0 where there is nothing.
 * What can be `answered` is not returned at all, unless *root* is -1 (it, *self_fd*, *writer*: see there).
 *
 * *last* is the id of the call that the receiver got last. Where it shows that another thread is it
 * by now, the answer is -EAGAIN, and CROWD where others waited whenever this looked and nobody helps.
 * Who helps has NULL for it, and is told -EAGAIN when it is not needed any more. */
static int receive(int listener, struct seccomp_notif *call, const uint8_t *which, char *text,
                   int root, int self_fd, atomic_ullong *writer, volatile uint64_t *last)
{
    int turns = 0, found = 0;
    for (;; turns++) {
        memset(call, 0, sizeof *call);
        int error = next(listener, call, last ? NULL : &found);
        if (error)
            return -error;
        if (last)
            *last = call->id;
        if (last && turns % OFTEN == OFTEN - 1) /* Now it's none that this thread receives. */
            found = others_wait(listener, 0) ? found + 1 : 0;
        unsigned number = (unsigned)call->data.nr;
        if (call->data.arch != ARCH || number >= CALLS)
            return 0;
        size_t got = 0;
        text[0] = 0;
        if (number != SYS_fstat) {
            if (!which[number])
                return 0;
            uint64_t address = call->data.args[which[number] - 1];
            if (address < PAGE || address >= USER_LIMIT)
                return 0;
            size_t size = PAGE - (address & (PAGE - 1));
            if (size > TEXT)
                size = TEXT;
            struct iovec local = {text, size}, remote = {(void *)(uintptr_t)address, size};
            ssize_t read = process_vm_readv((pid_t)call->pid, &local, 1, &remote, 1, 0);
            if (read <= 0)
                return 0;
            got = (size_t)read;
        }
        if (root < 0 || !known.open || (got && !memchr(text, 0, got)) ||
            !answered(listener, call, text, root, self_fd, writer))
            return (int)got;
        if (last && *last != call->id)
            return -EAGAIN;
        if (last && found >= CROWDED && !atomic_load(&helping))
            return CROWD;
    }
}

/* See `receive`. */
int madcap_receive(int listener, struct seccomp_notif *call, const uint8_t *which, char *text,
                   int root, int self_fd, atomic_ullong *writer, volatile uint64_t *last)
{
    return receive(listener, call, which, text, root, self_fd, writer, last);
}

/* Receive beside the one who does, until there is a call that can't be answered here (see there), or
 * nobody waits. */
int madcap_help(int listener, struct seccomp_notif *call, const uint8_t *which, char *text, int root,
                int self_fd, atomic_ullong *writer)
{
    atomic_store(&helping, 1);
    int got = receive(listener, call, which, text, root, self_fd, writer, NULL);
    atomic_store(&helping, 0);
    return got;
}
