/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Race against a check: one thread makes a system call over and over while another one swaps what the call
 * is about between a thing that is allowed and one that is not. Prints how often either was reached.
 *
 *   race KIND TRIES ALLOWED DENIED [SOCKET-PORTS]
 *
 * The two files hold "allowed" and "denied" and differ in length, so that each call tells them apart.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXCHANGE 2
static atomic_int done;
static char buffer[4096];
static const char *allowed, *denied;
static struct sockaddr_in address;
static uint16_t ports[2];
static long reached_allowed, reached_denied, refused;

/* Swap the path itself, in place. The texts are padded with slashes to one length, and a byte-wise mixture
 * of both would name nothing, so copy as fast as can be and let the reader catch what it may. */
static void *swap_text(void *arg)
{
	char one[4096], two[4096];
	size_t n = strlen(allowed) > strlen(denied) ? strlen(allowed) : strlen(denied);
	(void)arg;
	memset(one, '/', n + 1);
	memset(two, '/', n + 1);
	memcpy(one + n - strlen(allowed), allowed, strlen(allowed) + 1);
	memcpy(two + n - strlen(denied), denied, strlen(denied) + 1);
	while (!done) {
		memcpy(buffer, one, n + 1);
		for (volatile int i = 0; i < 200; i++) ;
		memcpy(buffer, two, n + 1);
		for (volatile int i = 0; i < 200; i++) ;
	}
	return NULL;
}

static void *swap_port(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !done; i++) {
		address.sin_port = htons(ports[i & 1]);
		for (volatile int j = 0; j < 200; j++) ;
	}
	return NULL;
}

/* Exchange the names "now" and "later": a link and a link, or a directory and a link. */
static void *swap_names(void *arg)
{
	(void)arg;
	while (!done)
		syscall(SYS_renameat2, AT_FDCWD, "now", AT_FDCWD, "later", EXCHANGE);
	return NULL;
}

/* Move the directory "c" up and down, so that ".." in a walk from within leads elsewhere. */
static void *move_directory(void *arg)
{
	(void)arg;
	while (!done) {
		rename("a/c", "c");
		rename("c", "a/c");
	}
	return NULL;
}

static void judge_text(const char *text, ssize_t n)
{
	if (n > 0 && !strncmp(text, "denied", 6))
		reached_denied++;
	else if (n > 0 && !strncmp(text, "allowed", 7))
		reached_allowed++;
	else
		refused++;
}

static void try_open(int dirfd, const char *path)
{
	char text[16] = "";
	int fd = openat(dirfd, path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	judge_text(text, n);
	if (fd >= 0)
		close(fd);
}

static void try_stat(const char *path)
{
	struct stat st;
	if (stat(path, &st))
		refused++;
	else if (st.st_size == 7)
		reached_allowed++;
	else if (st.st_size == 6)
		reached_denied++;
}

static void try_truncate(const char *path)
{
	/* To its own length, so that only the modification time of the wrong one would change. */
	if (truncate(path, 7))
		refused++;
	else
		reached_allowed++;
}

static void try_exec(const char *path)
{
	int status;
	char *argv[] = {"x", NULL};
	pid_t pid = vfork(); /* Shares our memory: the other thread goes on writing the path. */
	if (!pid) {
		syscall(SYS_execve, path, argv, environ);
		_exit(100);
	}
	if (waitpid(pid, &status, 0) != pid)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 66)
		reached_denied++;
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		reached_allowed++;
	else
		refused++;
}

static void try_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger hard = {1, 0}; /* No TIME_WAIT: thousands of tries would use up the ports. */
	struct sockaddr_in peer;
	socklen_t n = sizeof peer;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		refused++;
	else if (!getpeername(fd, (struct sockaddr *)&peer, &n) && ntohs(peer.sin_port) == ports[1])
		reached_denied++;
	else
		reached_allowed++;
	close(fd);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	const char *kind = argv[1];
	long tries = atol(argv[2]);
	int inside = -1;
	void *(*swap)(void *) = swap_text;
	if (argc < 5)
		return 2;
	allowed = argv[3];
	denied = argv[4];
	if (!strcmp(kind, "connect")) {
		swap = swap_port;
		address.sin_family = AF_INET;
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ports[0] = atoi(allowed);
		ports[1] = atoi(denied);
		address.sin_port = htons(ports[0]);
	} else if (!strncmp(kind, "names-", 6)) {
		swap = swap_names;
	} else if (!strcmp(kind, "dotdot")) {
		swap = move_directory;
		inside = open("a/c", O_RDONLY | O_DIRECTORY);
	}
	strcpy(buffer, allowed);
	pthread_create(&thread, NULL, swap, NULL);
	for (long i = 0; i < tries; i++) {
		if (!strcmp(kind, "open") || !strcmp(kind, "names-open"))
			try_open(AT_FDCWD, kind[0] == 'n' ? allowed : buffer);
		else if (!strcmp(kind, "stat") || !strcmp(kind, "names-stat"))
			try_stat(kind[0] == 'n' ? allowed : buffer);
		else if (!strcmp(kind, "truncate"))
			try_truncate(buffer);
		else if (!strcmp(kind, "exec") || !strcmp(kind, "names-exec"))
			try_exec(kind[0] == 'n' ? allowed : buffer);
		else if (!strcmp(kind, "dotdot"))
			try_open(inside, allowed);
		else if (!strcmp(kind, "connect"))
			try_connect();
		else
			return 2;
	}
	done = 1;
	pthread_join(thread, NULL);
	printf("%ld %ld %ld\n", reached_allowed, reached_denied, refused);
	return 0;
}
