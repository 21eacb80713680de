"""System calls that no homework needs, refused by the kernel (seccomp, classic BPF).

A limit counts what it can see. These are the ways around: memory that no process maps
(memfd, System V segments, shared anonymous pages), namespaces in which one is root
again, keyrings and sockets that reach beyond the box, looking into other processes, and
a session of its own, to which the kernel would give a share of the processors.

    load a word of the call → compare → refuse, or go on to the next rule

Read in order: `Rule`, `program`, `install`.
Source: Linux's Documentation/userspace-api/seccomp_filter.rst; numbers from its tables.
"""

import ctypes
import errno
import platform
import struct

NUMBERS = {  # machine: (architecture, {call: number}); the newer ones are the same
    "x86_64": (
        0xC000003E,
        {
            **{"mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272},
            **{"setns": 308, "ptrace": 101, "process_vm_readv": 310},
            **{"process_vm_writev": 311, "keyctl": 250, "add_key": 248},
            **{"request_key": 249, "bpf": 321, "perf_event_open": 298},
            **{"userfaultfd": 323, "memfd_create": 319, "shmget": 29},
            **{"clone": 56, "socket": 41, "mmap": 9, "setsid": 112},
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            **{"mount": 40, "umount2": 39, "pivot_root": 41, "unshare": 97},
            **{"setns": 268, "ptrace": 117, "process_vm_readv": 270},
            **{"process_vm_writev": 271, "keyctl": 219, "add_key": 217},
            **{"request_key": 218, "bpf": 280, "perf_event_open": 241},
            **{"userfaultfd": 282, "memfd_create": 279, "shmget": 194},
            **{"clone": 220, "socket": 198, "mmap": 222, "setsid": 157},
        },
    ),
}
EVERYWHERE = {
    **{"io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430},
    **{"fspick": 433, "mount_setattr": 442, "memfd_secret": 447},
}
CLONE3 = 435  # its flags lie in memory, which no filter sees: glibc then takes clone
NAMESPACES = 0x7E020000  # CLONE_NEW* of clone
SHARED, ANONYMOUS = 0x01, 0x20  # of mmap: such pages outlive every mapping of them
FAMILIES = (1, 2, 10)  # of socket: Unix and IP, which end at the box
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4  # where a call's description has them
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # plus an errno
X32 = 0x40000000  # the other numbering that an x86-64 kernel may take
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

Rule = list[tuple[int, int, int, int]]  # (operation, jump if true, if false, operand)


def argument(place: int) -> int:
    """Where a call's description has the low word of an argument."""
    return 16 + 8 * place


def refused(number: int, error: int = errno.EPERM) -> Rule:
    """Refuse a call outright."""
    return [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | error)]


def when(number: int, condition: Rule) -> Rule:
    """Apply `condition` to one call, then look at its number again."""
    whole = [*condition, (LOAD, 0, 0, NUMBER)]
    return [(EQUAL, 0, len(whole), number), *whole]


def program() -> bytes:
    """The filter for this machine; KeyError names one whose calls we do not know."""
    architecture, calls = NUMBERS[platform.machine()]
    blunt = [*calls.keys() - {"clone", "socket", "mmap"}]
    rules: Rule = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSE | errno.ENOSYS),
        *refused(CLONE3, errno.ENOSYS),
    ]
    for number in sorted([calls[name] for name in blunt] + [*EVERYWHERE.values()]):
        rules += refused(number)
    load, no = (LOAD, 0, 0, argument(0)), (RETURN, 0, 0, REFUSE | errno.EPERM)
    rules += when(calls["clone"], [load, (ANY_BIT, 0, 1, NAMESPACES), no])
    known = [
        (EQUAL, len(FAMILIES) - place, 0, family)
        for place, family in enumerate(FAMILIES)
    ]
    rules += when(calls["socket"], [load, *known, no])
    flags = (LOAD, 0, 0, argument(3))
    both = [(ANY_BIT, 0, 2, SHARED), (ANY_BIT, 0, 1, ANONYMOUS)]
    rules += when(calls["mmap"], [flags, *both, no])
    rules.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *rule) for rule in rules)


def install(code: bytes) -> None:
    """Hold this process, and all that it will ever start, to the filter.

    Raises OSError where the kernel refuses it.
    """

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    whole = Filter(len(code) // 8, code)
    for option, *rest in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(whole), 0, 0),
    ):
        if libc.prctl(option, *rest):
            raise OSError(ctypes.get_errno(), "seccomp is not to be had here")
