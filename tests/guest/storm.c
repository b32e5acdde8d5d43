/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Processes of several threads that run programs, map libraries, change directory, fork, stop, and share memory,
 * descriptors and directories with others; most are killed in the middle of it. From a seed. Prints how many there were.
 *
 *   storm TIMES SEED
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *self;
static unsigned seed;

static void rest(long nanoseconds)
{
	struct timespec time = { 0, nanoseconds };

	nanosleep(&time, NULL);
}

static void *run(void *arg)
{
	char *words[] = { self, "leaf", NULL };

	rest(rand_r(&seed) % 300000);
	execv(self, words);
	return arg;
}

static void *map(void *arg)
{
	int fd = open("/usr/bin/true", O_RDONLY);

	for (int i = 0; i < 20; i++) {
		void *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

		if (mapped != MAP_FAILED)
			munmap(mapped, 4096);
	}
	close(fd);
	return arg;
}

static void *change(void *arg)
{
	for (int i = 0; i < 10; i++)
		if (chdir("/usr") || chdir("/usr/lib"))
			abort();
	return arg;
}

static void *split(void *arg)
{
	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	return arg;
}

static void *start(void *arg)
{
	char *words[] = { self, "leaf", NULL };

	for (int i = 0; i < 3; i++) {
		pid_t child = vfork();

		if (!child) {
			execv(self, words);
			_exit(1);
		}
		waitpid(child, NULL, 0);
	}
	return arg;
}

static void *stop(void *arg)
{
	raise(SIGSTOP);
	return arg;
}

static void *look(void *arg)
{
	for (int i = 0; i < 50; i++)
		if (access("/etc/passwd", 0))
			abort();
	return arg;
}

static int shared(void *arg)
{
	map(arg);
	return 0;
}

static void *share(void *arg)
{
	static const int kinds[] = { CLONE_VM, CLONE_VM | CLONE_FILES, CLONE_FS, CLONE_FILES,
		CLONE_FS | CLONE_FILES | CLONE_VM };
	char *stack = malloc(65536);
	pid_t child = clone(shared, stack + 65536, kinds[rand_r(&seed) % 5] | SIGCHLD, NULL);

	waitpid(child, NULL, 0);
	return arg;
}

static void *(*const jobs[])(void *) = { run, map, change, split, start, stop, look, share, map };
#define JOB jobs[rand_r(&seed) % (sizeof jobs / sizeof *jobs)]

static void live(void)
{
	pthread_t threads[4];
	int count = 1 + rand_r(&seed) % 4;

	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, JOB, NULL);
	if (rand_r(&seed) % 2)
		JOB(NULL);
	if (rand_r(&seed) % 4 == 0)
		pthread_exit(NULL);
	for (int i = 0; i < count && seed % 2; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void end(pid_t child)
{
	for (int i = 0; i < 40; i++) {
		if (waitpid(child, NULL, WNOHANG) == child)
			return;
		kill(child, SIGCONT);
		rest(5000000);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	int times, done = 0;

	if (argc != 3)
		return 0;
	self = argv[0];
	times = atoi(argv[1]);
	for (int i = 0; i < times; i++) {
		pid_t child;

		seed = atoi(argv[2]) * 100000 + i;
		child = fork();
		if (!child)
			live();
		rest(rand_r(&seed) % 8000000);
		if (rand_r(&seed) % 2)
			kill(child, SIGCONT);
		if (rand_r(&seed) % 3)
			kill(child, SIGKILL);
		end(child);
		done++;
	}
	printf("%d\n", done);
	return 0;
}
