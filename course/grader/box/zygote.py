"""The warm process inside the box, which forks a sandboxed process a submission.

    zygote (bubblewrap, no student code) ─ fork ─ supervisor ─ fork ─ sandboxed process

torch and `lib` are imported once, by the zygote, so that a submission costs a fork.
The supervisor enters namespaces of its own (processes, mounts, network, IPC) and forks
the sandboxed process, in which the student's code runs and which is process 1 of its
world: when it dies, all that it started dies. There is no /proc, so that no process can
name the zygote or another submission's. The supervisor holds one end of a *leash*, a
socket pair whose other end the grader holds: when that end closes, for whatever reason,
the supervisor kills.

Read in order: `main`, `supervise`, `confine`.  Started by box.py; Linux only.
"""

import ast
import contextlib
import ctypes
import gc
import json
import os
import random
import resource
import select
import signal
import socket
import sys
import traceback
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, LAST_CAPABILITY = 4, 24, 63
PR_SET_THP_DISABLE = 41
CAPABILITY_V3 = 0x20080522
READY, LACKS = b"ready", "The box lacks "
libc = ctypes.CDLL(None, use_errno=True)


def main(
    control: socket.socket,
    modules: list[str],
    withheld: tuple[str, ...],
    limits: dict[str, Any],
) -> None:
    """Import `modules`, say so, and fork a supervisor for each pair of sockets.

    Raises KeyError on a machine whose system calls seccomp.py does not know, SystemExit
    where a module is missing that the homework does not withhold.
    """
    os.environ["TRITON_INTERPRET"] = "1"  # there is no GPU here, and Triton asks once
    gc.disable()  # what is imported stays, and there is much to search
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            if not f"{error.name}.".startswith(tuple(f"{name}." for name in withheld)):
                sys.exit(f"{LACKS}{module} ({error})")
    from course.grader.box import sandboxed, seccomp

    shell = sandboxed.make_shell()
    seccomp.program()  # or say so now
    # No process may read this one's memory, should one ever learn to name it.
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGCHLD, reap)
    gc.collect()
    gc.freeze()  # a fork that looked for garbage among the modules would copy them all
    gc.enable()
    control.sendall(READY)
    while True:
        message, sockets, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            leash, channel = (socket.socket(fileno=fd) for fd in sockets)
            supervise(leash, channel, shell, limits)
        for fd in sockets:
            os.close(fd)


def reap(*_: object) -> None:
    """Let supervisors go that have ended; what they used is in our count then."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def supervise(
    leash: socket.socket, channel: socket.socket, shell: Any, limits: dict[str, Any]
) -> None:
    """Fork the sandboxed process into a world of its own; kill it with the leash."""
    status = 1
    try:
        leash.send(b"h")  # a hello, to which the kernel adds who sends it
        leash.recv(1)  # in whose group we are by now (groups.py)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if limits["boxed"]:
            enter_world(limits)
        pid = os.fork()
        if pid == 0:
            from course.grader.box.sandboxed import SandboxedProcess

            leash.close()
            if limits["boxed"]:
                confine(limits)
            SandboxedProcess(channel, shell).serve()
            os._exit(0)
        channel.close()
        poll = select.poll()
        poll.register(leash, select.POLLIN)
        poll.register(os.pidfd_open(pid), select.POLLIN)
        poll.poll()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, how = os.waitpid(pid, 0)
        status = 0
        with contextlib.suppress(OSError):
            leash.send(json.dumps(os.waitstatus_to_exitcode(how)).encode())
    except BaseException:
        with contextlib.suppress(OSError):
            leash.send(json.dumps(traceback.format_exc()[-500:]).encode())
    finally:
        os._exit(status)


def enter_world(limits: dict[str, Any]) -> None:
    """Namespaces of its own for what is forked next, and folders that end with it.

    Raises OSError where the kernel refuses them.
    """
    new = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    must(libc.unshare(new))
    size = f"size={limits['files']},nr_inodes=10000,mode=1777".encode()
    for folder in (limits["scratch"], limits["shared"]):
        must(libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, size))


def must(result: int) -> None:
    """Raise the OSError that a C call left behind, where it left one."""
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def confine(limits: dict[str, Any]) -> None:
    """Give up every capability and set every limit, before the first line of theirs.

    Raises OSError where the kernel refuses one of them.
    """
    from course.grader.box import seccomp

    os.setsid()
    os.chdir(limits["scratch"])
    cores = sorted(os.sched_getaffinity(0))  # a Pool starts a process for each
    few = min(len(cores), limits["processes"] // 4 + 1)
    os.sched_setaffinity(0, random.SystemRandom().sample(cores, few))
    for number, value in {
        resource.RLIMIT_DATA: limits["memory"],
        resource.RLIMIT_AS: limits["memory"] + limits["mapped"],
        resource.RLIMIT_CPU: limits["seconds"] + 5,
        resource.RLIMIT_FSIZE: limits["files"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_NPROC: limits["processes"],  # of this user, threads too
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_SIGPENDING: 1000,  # of this user, timers too
    }.items():
        resource.setrlimit(number, (value, value))
    # A huge page stays whole while a part is mapped, and that part alone is counted
    must(libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if limits["user"]:  # grading as root: theirs is a user that owns nothing anywhere
        os.setgroups([])
        os.setresgid(*[limits["user"]] * 3)
        os.setresuid(*[limits["user"]] * 3)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_V3, 0)
    must(libc.capset(header, (ctypes.c_uint32 * 6)()))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    seccomp.install(seccomp.program())


if __name__ == "__main__":
    settings = ast.literal_eval(sys.argv[1])
    sys.path.insert(0, settings["root"])
    main(
        socket.socket(fileno=settings["control"]),
        settings["modules"],
        settings["withheld"],
        settings["limits"],
    )
