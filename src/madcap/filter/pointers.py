# SPDX-License-Identifier: GPL-3.0-or-later
"""Which arguments of a system call are addresses.

No address of a program has its highest bit set: such a value can only be an attempt to make the
kernel take its own memory for the caller's.
"""

from __future__ import annotations

# Positions of the arguments, then the calls that have addresses there.
POINTERS: dict[tuple[int, ...], str] = {
    (0,): """
        access adjtimex brk chdir chmod chown chroot clone3 creat fsopen futex get_thread_area
        getcwd getrandom landlock_create_ruleset lchown lremovexattr madvise map_shadow_stack
        memfd_create mkdir mknod mlock mlock2 mmap mmap2 mprotect mq_unlink mseal msync munlock
        munmap open perf_event_open pipe pipe2 pkey_mprotect poll remap_file_pages removexattr
        rmdir rseq rt_sigpending rt_sigsuspend set_robust_list set_thread_area set_tid_address
        setdomainname sethostname shmdt sigpending sigsuspend swapoff swapon sysinfo time times
        truncate truncate64 umount umount2 uname unlink uselib
    """,
    (0, 1): """
        cacheflush capget capset gettimeofday link listmount listns listxattr llistxattr lstat
        lstat64 nanosleep pivot_root readlink rename riscv_flush_icache settimeofday sigaltstack
        stat stat64 statfs statfs64 statmount symlink utime utimes
    """,
    (0, 1, 2): """
        add_key execve getcpu getresgid getresuid getxattr request_key rt_sigtimedwait
        rt_sigtimedwait_time64 setxattr
    """,
    (0, 1, 2, 4): "mount",
    (0, 2): "lgetxattr lsetxattr mincore symlinkat",
    (0, 2, 3): "ppoll ppoll_time64",
    (0, 2, 4): "query_module",
    (0, 3): "mbind mq_open riscv_hwprobe",
    (0, 4): "mremap",
    (1,): """
        arch_prctl bind bpf clock_adjtime clock_adjtime64 clock_getres clock_getres_time64
        clock_gettime clock_gettime64 clock_settime clock_settime64 connect epoll_wait
        epoll_wait_old faccessat faccessat2 fchmodat fchmodat2 fchownat flistxattr fremovexattr
        fspick fstat fstat64 fstatfs fstatfs64 get_mempolicy getdents getdents64 getgroups
        getgroups32 getitimer getrlimit getrusage inotify_add_watch io_setup io_uring_setup
        lookup_dcookie mkdirat mknodat modify_ldt mq_notify msgrcv msgsnd oldfstat
        open_by_handle_at open_tree openat pread64 preadv preadv2 process_madvise pwrite64
        pwritev pwritev2 read readv recv recvmsg removexattrat sched_getattr sched_getparam
        sched_rr_get_interval sched_rr_get_interval_time64 sched_setattr sched_setparam semop
        send sendmmsg sendmsg set_mempolicy setgroups setgroups32 setrlimit shmat signal
        signalfd signalfd4 socketcall timer_gettime timer_gettime64 timerfd_gettime
        timerfd_gettime64 ugetrlimit unlinkat ustat vmsplice waitpid write writev
    """,
    (1, 2): """
        accept accept4 fgetxattr fsetxattr fstatat64 futimesat get_robust_list getpeername
        getsockname io_cancel listxattrat mq_getsetattr newfstatat nfsservctl openat2 putpmsg
        readlinkat rt_sigaction rt_sigprocmask setitimer sigaction sigprocmask timer_create
        utimensat utimensat_time64
    """,
    (1, 2, 3): "execveat name_to_handle_at",
    (1, 2, 3, 4): "_newselect select",
    (1, 2, 3, 4, 5): "pselect6 pselect6_time64",
    (1, 3): """
        copy_file_range getxattrat linkat mount_setattr move_mount open_tree_attr
        process_vm_readv process_vm_writev quotactl renameat renameat2 semtimedop
        semtimedop_time64 setxattrat splice wait4
    """,
    (1, 3, 4): "epoll_pwait2 mq_timedreceive mq_timedreceive_time64",
    (1, 4): """
        epoll_pwait mq_timedsend mq_timedsend_time64 recvmmsg recvmmsg_time64 sendto statx
    """,
    (1, 5): "recvfrom",
    (2,): """
        io_submit io_uring_register kexec_load landlock_add_rule msgctl pidfd_send_signal ptrace
        rt_sigqueueinfo sched_getaffinity sched_setaffinity sched_setscheduler seccomp sendfile
        sendfile64 shmctl waitid
    """,
    (2, 3): """
        clock_nanosleep clock_nanosleep_time64 fsconfig migrate_pages prlimit64 timer_settime
        timer_settime64 timerfd_settime timerfd_settime64
    """,
    (2, 3, 4): "move_pages",
    (3,): """
        _llseek epoll_ctl epoll_ctl_old kexec_file_load quotactl_fd reboot rt_tgsigqueueinfo
        semctl socketpair
    """,
    (3, 4): "getsockopt io_getevents setsockopt",
    (3, 4, 5): "io_pgetevents io_pgetevents_time64",
    (4,): "fanotify_mark io_uring_enter",
}

# These report an address they cannot take as EINVAL, all others as EFAULT.
INVALID = """
    madvise map_shadow_stack mbind mlock mlock2 mmap mmap2 mprotect mremap mseal msync munlock
    munmap
"""

# Made so often that looking at their arguments costs: what the number alone decides, the kernel
# remembers. It refuses such an address itself, before anything else is done with it, in one place
# for all files (vfs_read, vfs_write, import_iovec, ep_check_params) or by copying (epoll_ctl), and
# in its own order: a bad descriptor is EBADF then, as it is outside.
REFUSED_BY_KERNEL = """
    epoll_ctl epoll_pwait epoll_wait pread64 pwrite64 read readv write writev
"""

# Calls whose operation, argument 0, decides: operation, then the positions.
KEYCTL: dict[int, tuple[int, ...]] = {
    1: (1,),  # JOIN_SESSION_KEYRING
    2: (2,),  # UPDATE
    6: (2,),  # DESCRIBE
    10: (2, 3),  # SEARCH
    11: (2,),  # READ
    12: (2,),  # INSTANTIATE
    17: (2,),  # GET_SECURITY
    20: (2,),  # INSTANTIATE_IOV
    23: (1, 2, 4),  # DH_COMPUTE
    29: (2, 3),  # RESTRICT_KEYRING
}
SYSLOG: dict[int, tuple[int, ...]] = {2: (1,), 3: (1,), 4: (1,)}  # The kinds that read.
PRCTL: dict[int, tuple[int, ...]] = {
    2: (1,),  # PR_GET_PDEATHSIG
    5: (1,),  # PR_GET_UNALIGN
    9: (1,),  # PR_GET_FPEMU
    11: (1,),  # PR_GET_FPEXC
    15: (1,),  # PR_SET_NAME
    16: (1,),  # PR_GET_NAME
    19: (1,),  # PR_GET_ENDIAN
    25: (1,),  # PR_GET_TSC
    37: (1,),  # PR_GET_CHILD_SUBREAPER
    40: (1,),  # PR_GET_TID_ADDRESS
    74: (1,),  # PR_GET_SHADOW_STACK_STATUS
    80: (2,),  # PR_GET_CFI
    0x41555856: (1,),  # PR_GET_AUXV
    0x53564D41: (2, 4),  # PR_SET_VMA
}
