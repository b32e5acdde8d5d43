/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Call the kernel by its other doors on x86_64: the x32 numbers, and int 0x80. Each call is made in a child
 * and would open the file that the argument names. Prints how each child ended; "opened" is what must not be.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *low; /* int 0x80 takes 32-bit addresses. */

static long by_x32(const char *path)
{
	return syscall(0x40000000 | SYS_open, path, O_RDONLY);
}

static long by_x32_only(const char *path)
{
	(void)path;
	return syscall(0x40000000 | 520, path, NULL, NULL); /* x32's own execve */
}

static long by_int80(const char *path)
{
	long result = -1;
	(void)path;
	if (low != MAP_FAILED)
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(5), "b"(low), "c"(O_RDONLY) : "memory");
	return result;
}

static void attempt(const char *name, long (*door)(const char *), const char *path)
{
	int status;
	pid_t pid = fork();
	if (!pid)
		_exit(door(path) >= 0 ? 1 : 0);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s killed by %d\n", name, WTERMSIG(status));
	else
		printf("%s %s\n", name, WEXITSTATUS(status) ? "opened" : "refused");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low != MAP_FAILED)
		strcpy(low, argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	attempt("x32", by_x32, argv[1]);
	attempt("x32-exec", by_x32_only, argv[1]);
	attempt("int80", by_int80, argv[1]);
	return 0;
}
