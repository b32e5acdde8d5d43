# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of system calls the filters are made from.

Each is a text of names, split when a filter is built: that costs less than a tuple of strings at
import. Names that a machine does not have are skipped there; some belong to machines madcap does
not know yet.
"""

from __future__ import annotations

# Never answered: administration of the host, and doors that are closed for good.
DEAD = """
    _sysctl acct create_module delete_module finit_module get_kernel_syms init_module ioperm
    iopl kexec_file_load kexec_load listns lsm_get_self_attr lsm_list_modules lsm_set_self_attr
    name_to_handle_at nfsservctl open_by_handle_at pciconfig_iobase pciconfig_read
    pciconfig_write query_module quotactl quotactl_fd reboot swapoff swapon sysfs uselib
    userfaultfd vhangup
"""

# Allowed; what is limited by arguments among them is in layers.py and answers.py.
SAFE = """
    _llseek _newselect alarm arch_prctl arm_fadvise64_64 arm_sync_file_range atomic_barrier
    atomic_cmpxchg_32 breakpoint cacheflush capget capset clock_nanosleep clock_nanosleep_time64
    clone close close_range copy_file_range dup dup2 dup3 epoll_ctl epoll_ctl_old epoll_pwait
    epoll_pwait2 epoll_wait epoll_wait_old exit exit_group fadvise64 fadvise64_64 fcntl fcntl64
    fdatasync flock fork fsync getpagesize get_robust_list get_thread_area getcwd getitimer
    getpgid getpgrp getpid getpmsg getppid getpriority getresgid getresuid getrlimit getrusage
    getsid gettid inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
    io_pgetevents_time64 io_setup io_submit ioprio_get landlock_add_rule landlock_create_ruleset
    landlock_restrict_self listen lseek map_shadow_stack membarrier mlock mlock2 mlockall
    mprotect mseal msync munlock munlockall munmap nanosleep pause pidfd_send_signal poll ppoll
    ppoll_time64 pread64 preadv preadv2 process_mrelease pselect6 pselect6_time64 pwrite64
    pwritev pwritev2 read readahead readv recv restart_syscall rt_sigpending rt_sigprocmask
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 s390_pci_mmio_read
    s390_pci_mmio_write s390_runtime_instr sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_rr_get_interval sched_rr_get_interval_time64
    sched_getparam sched_getscheduler sched_yield select send sendfile sendfile64
    set_robust_list set_thread_area set_tid_address setitimer setns setpgid setsid setsockopt
    set_tls shutdown signal sigaltstack sigpending sigprocmask sigsuspend sigreturn splice sync
    sync_file_range sync_file_range2 syncfs tee timer_create timer_delete timer_getoverrun
    timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times ugetrlimit umask unshare vfork
    wait4 waitid waitpid write writev
"""

# Allowed, futex by operation.
FUTEX = """
    futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake swapcontext
    sys_debug_swapcontext
"""

# Allowed: usually answered without entering the kernel.
VDSO = """
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 getcpu getrandom gettimeofday
    time uretprobe riscv_hwprobe
"""

# Allowed, or always 0 for a program that is to believe it is root.
GETID = """
    getuid getuid32 getgid getgid32 geteuid geteuid32 getegid getegid32 getresuid getresuid32
    getresgid getresgid32 getgroups getgroups32
"""

# Handed to the supervisor when the policy asks for it, otherwise allowed.
HOOKED = """
    accept accept4 bind connect getpeername getsockname getsockopt recvfrom recvmsg recvmmsg
    recvmmsg_time64 sendto sendmsg sendmmsg socket socketcall socketpair execve execveat
    getdents64 stat access fstat fstat64 fstatat64 lstat newfstatat stat64 statx faccessat
    faccessat2 chdir fchdir chmod fchmod fchmodat fchmodat2 fchown fchown32 chown lchown
    fchownat creat link symlink unlink linkat symlinkat unlinkat mkdir rmdir mkdirat mknod
    mknodat open openat openat2 readlink readlinkat rename renameat renameat2 utime utimes
    futimesat utimensat utimensat_time64 truncate truncate64 ftruncate ftruncate64 getxattr
    getxattrat fgetxattr lgetxattr setxattr setxattrat fsetxattr lsetxattr listxattr listxattrat
    flistxattr llistxattr removexattr removexattrat fremovexattr lremovexattr ioctl pidfd_open
    brk mremap statfs statfs64 fstatfs fstatfs64 fallocate uname fanotify_mark inotify_add_watch
    memfd_create sysinfo sigaction rt_sigaction getdents epoll_create epoll_create1 eventfd
    eventfd2 fanotify_init inotify_init inotify_init1 pipe pipe2 signalfd signalfd4
    timerfd_create memfd_secret setuid setuid32 setgid setgid32 setreuid setreuid32 setregid
    setregid32 setresuid setresuid32 setresgid setresgid32 setgroups setgroups32
"""

# POSIX message queues: killed without allow_unsafe_msgqueue.
MSGQUEUE = """
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
    mq_timedsend_time64 mq_unlink
"""

# System V IPC: killed without allow_unsafe_shm.
SHM = """
    ipc msgget msgsnd msgrcv msgctl semget semop semctl semtimedop semtimedop_time64 shmat
    shmctl shmdt shmget
"""

# Closed (ENOSYS) unless the option is on.
BY_OPTION: dict[str, str] = {
    "allow_unsafe_cpu": "modify_ldt subpage_prot switch_endian vm86 vm86old",
    "allow_unsafe_keyring": "add_key keyctl request_key",
    "allow_unsafe_time": """
        adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday
    """,
    "allow_unsafe_page_cache": "cachestat mincore",
    "allow_unsafe_deprecated": """
        remap_file_pages setfsgid setfsgid32 setfsuid setfsuid32 stime ustat
    """,
    "allow_unsafe_kcmp": "kcmp",
    "allow_unsafe_perf": """
        lookup_dcookie perf_event_open rtas s390_runtime_instr sys_debug_setcontext
    """,
    "allow_unsafe_pkey": "pkey_alloc pkey_free pkey_mprotect",
    "allow_unsafe_nice": """
        ioprio_set sched_setaffinity sched_setattr sched_setparam sched_setscheduler setpriority
    """,
    "allow_unsafe_numa": """
        get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node
    """,
    "allow_unsafe_rseq": "rseq rseq_slice_yield",
    "allow_unsafe_vmsplice": "vmsplice",
    "allow_unsafe_ptrace": """
        pidfd_getfd ptrace process_madvise process_vm_readv process_vm_writev
    """,
    "allow_unsafe_ebpf": "bpf",
    "allow_unsafe_prlimit": "setrlimit",
}

# Closed unless namespaces of the type are allowed.
BY_NAMESPACE: dict[str, str] = {
    "mount": """
        fsconfig fsmount fsopen fspick listmount mount mount_setattr move_mount open_tree
        open_tree_attr statmount umount umount2
    """,
    "uts": "setdomainname sethostname",
}

# Closed unless io_uring is wanted.
IO_URING = """
    io_uring_enter io_uring_register io_uring_setup
"""

# Allowed when the kernel keeps signals inside the sandbox, otherwise handed over.
KILL_FAMILY = """
    kill rt_sigqueueinfo rt_tgsigqueueinfo tgkill tkill
"""
