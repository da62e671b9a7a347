"""Numbers of system calls: names differ in nothing between architectures, numbers do.

Source: Linux 6.1, arch/x86/entry/syscalls/syscall_64.tbl (x86_64) and include/uapi/asm-generic/unistd.h (aarch64), as
/usr/include/asm/unistd_64.h and /usr/include/asm-generic/unistd.h have them; a test compares.
"""

import os

MACHINE = os.uname().machine
LAST = 450              # the highest number in those files: later calls are unknown to us
COLUMNS = {"x86_64": 1, "aarch64": 2}

# name:x86_64:aarch64, where a dash says that there is none
TABLE = """
read:0:63 write:1:64 open:2:- close:3:57 stat:4:- fstat:5:80 lstat:6:- poll:7:- lseek:8:62 mmap:9:222
mprotect:10:226 munmap:11:215 brk:12:214 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 ioctl:16:29
pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 access:21:- pipe:22:- select:23:- sched_yield:24:124
mremap:25:216 msync:26:227 mincore:27:232 madvise:28:233 dup:32:23 dup2:33:- pause:34:- nanosleep:35:101
getitimer:36:102 alarm:37:- setitimer:38:103 getpid:39:172 sendfile:40:71 socket:41:198 connect:42:203 accept:43:202
sendto:44:206 recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 shutdown:48:210 bind:49:200 listen:50:201
getsockname:51:204 getpeername:52:205 socketpair:53:199 setsockopt:54:208 getsockopt:55:209 clone:56:220 fork:57:-
vfork:58:- execve:59:221 exit:60:93 wait4:61:260 kill:62:129 uname:63:160 fcntl:72:25 flock:73:32 fsync:74:82
fdatasync:75:83 truncate:76:45 ftruncate:77:46 getdents:78:- getcwd:79:17 chdir:80:49 fchdir:81:50 rename:82:-
mkdir:83:- rmdir:84:- creat:85:- link:86:- unlink:87:- symlink:88:- readlink:89:- chmod:90:- fchmod:91:52
umask:95:166 gettimeofday:96:169 getrlimit:97:163 getrusage:98:165 sysinfo:99:179 times:100:153 getuid:102:174
getgid:104:176 geteuid:107:175 getegid:108:177 setpgid:109:154 getppid:110:173 getpgrp:111:- setsid:112:157
getgroups:115:158 getresuid:118:148 getresgid:120:150 getpgid:121:155 getsid:124:156 capget:125:90 capset:126:91
rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigsuspend:130:133 sigaltstack:131:132 utime:132:- mknod:133:-
statfs:137:43 fstatfs:138:44 getpriority:140:141 sched_getparam:143:121 sched_getscheduler:145:120 prctl:157:167
arch_prctl:158:- gettid:186:178 readahead:187:213 time:201:- futex:202:98 sched_getaffinity:204:123
epoll_create:213:- getdents64:217:61 set_tid_address:218:96 restart_syscall:219:128 fadvise64:221:223
clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115 exit_group:231:94 epoll_wait:232:-
epoll_ctl:233:21 tgkill:234:131 utimes:235:- waitid:247:95 inotify_add_watch:254:27 inotify_rm_watch:255:28
openat:257:56 mkdirat:258:34 mknodat:259:33 futimesat:261:- newfstatat:262:79 unlinkat:263:35 renameat:264:38
linkat:265:37 symlinkat:266:36 readlinkat:267:78 fchmodat:268:53 faccessat:269:48 pselect6:270:72 ppoll:271:73
set_robust_list:273:99 get_robust_list:274:100 splice:275:76 tee:276:77 sync_file_range:277:84 utimensat:280:88
epoll_pwait:281:22 timerfd_create:283:85 fallocate:285:47 timerfd_settime:286:86 timerfd_gettime:287:87
accept4:288:242 signalfd4:289:74 eventfd2:290:19 epoll_create1:291:20 dup3:292:24 pipe2:293:59 inotify_init1:294:26
preadv:295:69 pwritev:296:70 recvmmsg:299:243 prlimit64:302:261 sendmmsg:307:269 getcpu:309:168 renameat2:316:276
seccomp:317:277 getrandom:318:278 execveat:322:281 membarrier:324:283 copy_file_range:326:285 preadv2:327:286
pwritev2:328:287 statx:332:291 rseq:334:293 pidfd_send_signal:424:424 pidfd_open:434:434 clone3:435:435
close_range:436:436 openat2:437:437 faccessat2:439:439 epoll_pwait2:441:441 landlock_create_ruleset:444:444
landlock_add_rule:445:445 landlock_restrict_self:446:446 futex_waitv:449:449
"""
_rows = {row[0]: row for row in (word.split(":") for word in TABLE.split())}


def of(name: str, machine: str = MACHINE) -> int | None:
    """The number of a call, None where the architecture has none of that name; raises OSError for an unknown one."""
    if machine not in COLUMNS:
        raise OSError(38, f"no table of system calls for {machine}")
    number = _rows[name][COLUMNS[machine]]
    return None if number == "-" else int(number)


def number(name: str, machine: str = MACHINE) -> int:
    """The number of a call that every architecture has; raises OSError."""
    found = of(name, machine)
    assert found is not None            # the table says otherwise
    return found
