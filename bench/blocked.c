// SPDX-License-Identifier: GPL-3.0-or-later
// Threads that block in the open of a FIFO each, and how soon a signal reaches one of them.
//
// usage: blocked THREADS SAMPLES [SECONDS]
// Prints a line "latency" with one number a sample: nanoseconds from pthread_kill(3) to the handler. Then it
// sleeps for SECONDS, its threads being blocked, so that somebody may look at what that costs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile long handled;
static sem_t done, ready;

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void handler(int number)
{
    (void)number;
    handled = now();
    sem_post(&done);
}

static void *block(void *argument)
{
    char name[32];
    snprintf(name, sizeof name, "fifo%ld", (long)argument);
    if (mkfifo(name, 0600) != 0 && errno != EEXIST)
        exit(2);
    sem_post(&ready);
    for (;;)
        if (open(name, O_RDONLY) >= 0 || errno != EINTR)
            exit(3);
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? atol(argv[1]) : 100, samples = argc > 2 ? atol(argv[2]) : 300;
    pthread_t *all = calloc(threads, sizeof *all);
    pthread_attr_t small;
    struct sigaction action = {.sa_handler = handler};
    sem_init(&done, 0, 0);
    sem_init(&ready, 0, 0);
    sigaction(SIGUSR1, &action, NULL);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (long number = 0; number < threads; number++)
        if (pthread_create(&all[number], &small, block, (void *)number) != 0)
            return 4;
    for (long number = 0; number < threads; number++)
        sem_wait(&ready);
    sleep(1);
    srandom(1);
    printf("latency");
    for (long sample = 0; sample < samples; sample++) {
        usleep(10000 + random() % 20000);
        long start = now();
        pthread_kill(all[random() % threads], SIGUSR1);
        while (sem_wait(&done) != 0)
            ;
        printf(" %ld", handled - start);
    }
    printf("\n");
    fflush(stdout);
    sleep(argc > 3 ? atoi(argv[3]) : 0);
    return 0;
}
