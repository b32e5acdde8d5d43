/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Measure system calls from within.  micro COUNT CALL...  prints a line for each call: its name and the
 * nanoseconds that one took.  micro COUNT spawn PROGRAM ARGUMENT...  does so for starting a program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static struct sockaddr_in address;
static int server = -1;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void do_getpid(void) { syscall(SYS_getppid); }
static void do_stat(void) { struct stat st; must(!stat("/etc/hostname", &st), "stat"); }
static void do_fstat(void) { struct stat st; must(!fstat(0, &st), "fstat"); }
static void do_access(void) { must(!access("/etc/hostname", R_OK), "access"); }
static void do_absent(void) { must(access("/usr/lib/absent", R_OK), "access"); }
static void do_readlink(void) { char b[99]; must(readlink("/proc/self/exe", b, 99) > 0, "readlink"); }

static void do_open(void)
{
	int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "open");
	close(fd);
}

static void do_rename(void)
{
	static int turn;
	turn = !turn;
	must(!(turn ? rename("bench-b", "bench-a") : rename("bench-a", "bench-b")), "rename");
}

static void do_create(void)
{
	int fd = open("bench-new", O_CREAT | O_EXCL | O_WRONLY, 0600);
	must(fd >= 0, "create");
	close(fd);
	must(!unlink("bench-new"), "unlink");
}

static void do_mkdir(void)
{
	must(!mkdir("bench-dir", 0700), "mkdir");
	must(!rmdir("bench-dir"), "rmdir");
}

static void do_chmod(void)
{
	static int turn;
	turn = !turn;
	must(!chmod("bench-mode", turn ? 0600 : 0640), "chmod");
}

static void do_readdir(void)
{
	int n = 0;
	DIR *dir = opendir("tree/d1"); /* of 65 files */
	must(dir != NULL, "opendir");
	while (readdir(dir))
		n++;
	must(n == 67, "readdir");
	closedir(dir);
}

static void do_connect(void)
{
	struct linger hard = {1, 0}; /* No TIME_WAIT: the ports would run out. */
	int peer, fd = socket(AF_INET, SOCK_STREAM, 0);
	must(fd >= 0, "socket");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	must(!connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
	close(fd);
	peer = accept(server, NULL, NULL);
	close(peer);
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
	{"getppid", do_getpid}, {"stat", do_stat}, {"fstat", do_fstat}, {"access", do_access},
	{"absent", do_absent}, {"readlink", do_readlink}, {"open", do_open}, {"create", do_create},
	{"mkdir", do_mkdir}, {"rename", do_rename}, {"chmod", do_chmod}, {"readdir", do_readdir},
	{"connect", do_connect},
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void listen_on_loopback(void)
{
	socklen_t n = sizeof address;
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(!bind(server, (struct sockaddr *)&address, sizeof address), "bind");
	must(!listen(server, 64), "listen");
	must(!getsockname(server, (struct sockaddr *)&address, &n), "getsockname");
}

static void spawn(long count, char **argv)
{
	double start = now();
	for (long i = 0; i < count; i++) {
		pid_t pid;
		int status;
		posix_spawn_file_actions_t quiet;
		posix_spawn_file_actions_init(&quiet);
		posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
		must(!posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ), argv[0]);
		waitpid(pid, &status, 0);
		must(status == 0, argv[0]);
		posix_spawn_file_actions_destroy(&quiet);
	}
	printf("spawn %.0f\n", (now() - start) / count);
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[1]) : 0;
	if (count < 1)
		return 2;
	if (!strcmp(argv[2], "spawn")) {
		spawn(count, argv + 3);
		return 0;
	}
	for (int i = 2; i < argc; i++)
		for (unsigned c = 0; c < sizeof calls / sizeof *calls; c++) {
			long turns = count;
			double start;
			if (strcmp(argv[i], calls[c].name))
				continue;
			if (!strcmp(argv[i], "connect"))
				listen_on_loopback();
			if (!strcmp(argv[i], "rename"))
				close(open("bench-b", O_CREAT | O_WRONLY, 0600));
			if (!strcmp(argv[i], "chmod"))
				close(open("bench-mode", O_CREAT | O_WRONLY, 0600));
			start = now();
			while (turns--)
				calls[c].call();
			printf("%s %.0f\n", argv[i], (now() - start) / count);
			fflush(stdout);
		}
	return 0;
}
