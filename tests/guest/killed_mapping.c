/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kill processes of several threads while they map a library, as often as the argument says. Prints how many were.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void rest(long nanoseconds)
{
	struct timespec time = { 0, nanoseconds };

	nanosleep(&time, NULL);
}

static void *idle(void *arg)
{
	for (;;)
		rest(999999999);
	return arg;
}

static void map(void)
{
	pthread_t thread;
	int fd = open("/usr/bin/true", O_RDONLY);

	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, idle, NULL);
	for (;;) {
		void *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

		if (mapped != MAP_FAILED)
			munmap(mapped, 4096);
	}
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 0, done = 0;

	for (int i = 0; i < times; i++) {
		pid_t child = fork();

		if (!child)
			map();
		rest(1000000 + i * 37 % 4000 * 1000);
		kill(child, SIGKILL);
		done += waitpid(child, NULL, 0) == child;
	}
	printf("%d\n", done);
	return 0;
}
