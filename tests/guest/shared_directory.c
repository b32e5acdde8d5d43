/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Get into a directory that no rule allows to be entered: one process changes directory over and over, by a path that
 * another one rewrites in shared memory. The directory is shared with a third, which would keep it when the first is
 * killed for it.
 *
 *   shared_directory ALLOWED DENIED      77: the third process, or a child of it, is in DENIED
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	atomic_int done;
	char path[4096];
};
static struct shared *shared;
static const char *allowed, *denied;

static void rewrite(void)
{
	while (!shared->done) {
		strcpy(shared->path, allowed);
		for (volatile int i = 0; i < 3000; i++) ;
		strcpy(shared->path, denied);
		for (volatile int i = 0; i < 3000; i++) ;
	}
	_exit(0);
}

static int change(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4000 && !shared->done; i++)
		syscall(SYS_chdir, shared->path);
	return 0;
}

static int is_there(void)
{
	char here[4096];

	return syscall(SYS_getcwd, here, sizeof here) > 0 && !strcmp(here, denied);
}

int main(int argc, char **argv)
{
	int found = 0, status;
	pid_t writer, changer;

	if (argc != 3)
		return 2;
	allowed = argv[1];
	denied = argv[2];
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	strcpy(shared->path, allowed);
	writer = fork();
	if (!writer)
		rewrite();
	changer = clone(change, (char *)malloc(65536) + 65536, CLONE_FS | SIGCHLD, NULL);
	while (!found && waitpid(changer, &status, WNOHANG) == 0) {
		found |= is_there();
		pid_t child = fork();
		if (!child)
			_exit(is_there());
		waitpid(child, &status, 0);
		found |= status != 0;
	}
	found |= is_there();
	shared->done = 1;
	kill(changer, SIGKILL);
	waitpid(writer, &status, 0);
	return found ? 77 : 0;
}
