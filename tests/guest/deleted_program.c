/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Run a program that is denied by its name, after it was deleted: a thread swaps what the descriptor refers to.
 * Prints how often it ran (it exits with 66), how often the allowed one did, and how often neither.
 *
 *   deleted_program DENIED */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT 100
extern char **environ;
static int good, evil;

static void *swap(void *arg)
{
	for (;;) {
		dup2(good, SLOT);
		for (volatile int i = 0; i < 3000; i++) ;
		dup2(evil, SLOT);
		for (volatile int i = 0; i < 3000; i++) ;
	}
	return arg;
}

int main(int argc, char **argv)
{
	int ran = 0, allowed = 0, neither = 0, status;
	if (argc != 2)
		return 1;
	good = open("/bin/true", O_RDONLY | O_CLOEXEC);
	evil = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (good < 0 || evil < 0 || unlink(argv[1]))
		return 1;
	for (int i = 0; i < 200; i++) {
		pid_t child = fork();
		if (!child) {
			char *words[] = {"x", NULL};
			pthread_t thread;
			dup2(good, SLOT);
			pthread_create(&thread, NULL, swap, NULL);
			usleep(100);
			for (;;)
				syscall(SYS_execveat, SLOT, "", words, environ, AT_EMPTY_PATH);
		}
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 66)
			ran++;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			allowed++;
		else
			neither++;
	}
	printf("%d %d %d\n", ran, allowed, neither);
	return 0;
}
