/* SPDX-License-Identifier: GPL-3.0-or-later */
/* While the main thread asks for attributes of a file, another thread executes this program again.
 * That takes over the main thread's number, and must find its memory untouched.
 *
 *     overtaken SECONDS WORKERS    prints how many programs found it so, and how many did not
 *
 * To be linked for a fixed address: what is asked for and what is looked at is the same array.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOUCHED 9
static volatile unsigned char memory[1 << 16] __attribute__((aligned(4096)));
static char *self;

static void *overtake(void *wait)
{
    usleep((useconds_t)(long)wait);
    execl(self, self, (char *)0);
    _exit(3);
}

static void look(void)
{
    for (int turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < sizeof memory; i++)
            if (memory[i])
                _exit(TOUCHED);
        usleep(500);
    }
    _exit(0);
}

static void ask(long wait)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, overtake, (void *)wait))
        _exit(4);
    for (unsigned i = 0;; i++)
        statx(AT_FDCWD, "/etc/hostname", 0, STATX_BASIC_STATS, (void *)(memory + i % 200 * 256));
}

static void work(unsigned seed, time_t end)
{
    long untouched = 0, touched = 0, other = 0;
    while (time(NULL) < end) {
        pid_t child = fork();
        if (!child)
            ask(rand_r(&seed) % 400);
        rand_r(&seed);
        int status = -1;
        waitpid(child, &status, 0);
        if (!status)
            untouched++;
        else if (WIFEXITED(status) && WEXITSTATUS(status) == TOUCHED)
            touched++;
        else
            other++;
    }
    printf("%ld %ld %ld\n", untouched, touched, other);
    exit(0);
}

int main(int count, char **words)
{
    if (count < 3)
        look();
    self = words[0];
    time_t end = time(NULL) + atoi(words[1]);
    for (int worker = 0; worker < atoi(words[2]); worker++)
        if (!fork())
            work((unsigned)worker, end);
    while (wait(NULL) > 0)
        continue;
    return 0;
}
