/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Map a library that no rule allows to be executed: one process maps a descriptor over and over, another one, which
 * shares its memory and descriptors, swaps what it refers to. The mapping would outlive the one who is killed for it.
 *
 *   shared_memory ALLOWED DENIED      77: the denied one is mapped
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT 100
#define SHARED (CLONE_VM | CLONE_FILES | SIGCHLD)
static int good, evil;
static atomic_int done;
static void *where;

static int swap(void *arg)
{
	(void)arg;
	while (!done) {
		dup2(good, SLOT);
		for (volatile int i = 0; i < 2000; i++) ;
		dup2(evil, SLOT);
		for (volatile int i = 0; i < 2000; i++) ;
	}
	return 0;
}

static int map(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++)
		mmap(where, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, SLOT, 0);
	return 0;
}

static int is_mapped(const char *path)
{
	char line[4400];
	int found = 0;
	FILE *file = fopen("/proc/self/maps", "r");
	while (file && fgets(line, sizeof line, file))
		found |= strstr(line, "r-xp") && strstr(line, path);
	if (file)
		fclose(file);
	return found;
}

int main(int argc, char **argv)
{
	int found = 0, status;
	char *one = malloc(65536), *two = malloc(65536);
	if (argc != 3 || (good = open(argv[1], O_RDONLY)) < 0 || (evil = open(argv[2], O_RDONLY)) < 0)
		return 1;
	dup2(good, SLOT);
	where = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t swapper = clone(swap, one + 65536, SHARED, NULL);
	for (int i = 0; i < 50 && !found; i++) {
		waitpid(clone(map, two + 65536, SHARED, NULL), &status, 0);
		found = is_mapped(argv[2]);
	}
	done = 1;
	waitpid(swapper, &status, 0);
	return found ? 77 : 0;
}
