"""System calls that no homework needs, refused by the kernel (seccomp, classic BPF).

A limit counts what it can see. These are the ways around: memory that no process maps
(memory files, System V's segments, semaphores and queues, pages that a pipe holds,
shared anonymous pages), what belongs to the user and not to the process (asynchronous
contexts, watches), namespaces in which one is root again, keyrings and sockets that
reach beyond the box, looking into other processes, and a session of its own, to which
the kernel would give a share of the processors.

A lock on a file is granted and not taken: what is bound here is the host's file, and
nobody else is in the box.

    load a word of the call → compare → refuse, or go on to the next rule

Read in order: `Rule`, `program`, `install`.
Source: Linux's Documentation/userspace-api/seccomp_filter.rst; numbers from its tables.
"""

import ctypes
import errno
import platform
import struct

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as a call names them
REFUSED = {  # its number on each of MACHINES, in their order
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41)},
    **{"unshare": (272, 97), "setns": (308, 268), "ptrace": (101, 117)},
    **{"process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"memfd_create": (319, 279), "shmget": (29, 194), "semget": (64, 190)},
    **{"msgget": (68, 186), "mq_open": (240, 180), "vmsplice": (278, 75)},
    **{"fanotify_init": (300, 262), "inotify_init1": (294, 26)},
    **{"inotify_init": (253, 26)},  # arm64 has the other alone
    "setsid": (112, 157),
    # The newer ones have one number everywhere
    **{"open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430)},
    **{"fspick": (433, 433), "mount_setattr": (442, 442), "memfd_secret": (447, 447)},
    **{"landlock_create_ruleset": (444, 444), "open_tree_attr": (467, 467)},
}
ABSENT = {  # libraries then take another way: glibc's clone, a copy by read and write
    "clone3": (435, 435),  # its flags lie in memory, which no filter sees
    **{"io_uring_setup": (425, 425), "io_setup": (206, 0)},
    **{"splice": (275, 76), "tee": (276, 77), "sendfile": (40, 71)},
}
READ = {  # refused by what their arguments say
    **{"clone": (56, 220), "socket": (41, 198), "socketpair": (53, 199)},
    **{"setsockopt": (54, 208), "mmap": (9, 222), "fcntl": (72, 25), "flock": (73, 32)},
    **{"prctl": (157, 167)},
}
HUGE_PAGES = (41,)  # PR_SET_THP_DISABLE of prctl: zygote.py said it once for all
NAMESPACES = 0x7E020000  # CLONE_NEW* of clone
SHARED, ANONYMOUS = 0x01, 0x20  # of mmap: such pages outlive every mapping of them
HUGE_TABLE = 0x40000  # of mmap: pages that are set apart, and counted by nobody
FAMILIES = (1, 2, 10)  # of socket: Unix and IP, which end at the box
STREAM, TYPE = 1, 0xF  # of socket: a datagram outlives the socket that sent it
BUFFERS = (
    7,
    8,
)  # SO_SNDBUF and SO_RCVBUF of setsockopt: memory.py knows the usual size
WIDER = (1024, 1026, 1031, 1040)  # fcntl's leases, notices, pipe sizes and delegations
LOCKS = (6, 7, 37, 38)  # fcntl's ways to lock
LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4  # where a call's description has them
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # plus an errno
X32 = 0x40000000  # the other numbering that an x86-64 kernel may take
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

Rule = list[tuple[int, int, int, int]]  # (operation, jump if true, if false, operand)
NO: Rule = [(RETURN, 0, 0, REFUSE | errno.EPERM)]
MISSING: Rule = [(RETURN, 0, 0, REFUSE | errno.ENOSYS)]
NOTHING: Rule = [(RETURN, 0, 0, REFUSE | 0)]  # it succeeds, and is not done


def argument(place: int) -> Rule:
    """Load the low word of an argument."""
    return [(LOAD, 0, 0, 16 + 8 * place)]


def if_one_of(values: tuple[int, ...], then: Rule) -> Rule:
    """Go on with `then` where the loaded word is one of `values`."""
    *others, last = values
    tests = [(EQUAL, len(others) - i, 0, value) for i, value in enumerate(others)]
    return [*tests, (EQUAL, 0, len(then), last), *then]


def unless_one_of(values: tuple[int, ...], then: Rule) -> Rule:
    """Go on with `then` where the loaded word is none of `values`."""
    past = len(values) - 1 + len(then)
    return [*((EQUAL, past - i, 0, value) for i, value in enumerate(values)), *then]


def if_any_bit(bits: int, then: Rule) -> Rule:
    """Go on with `then` where the loaded word has one of `bits`."""
    return [(ANY_BIT, 0, len(then), bits), *then]


def when(number: int, rule: Rule) -> Rule:
    """Apply `rule` to one call, then look at its number again."""
    whole = [*rule, (LOAD, 0, 0, NUMBER)]
    return [(EQUAL, 0, len(whole), number), *whole]


def program() -> bytes:
    """The filter for this machine; KeyError names one whose calls we do not know."""
    architecture = MACHINES[platform.machine()]
    place = [*MACHINES].index(platform.machine())
    rules: Rule = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        *MISSING,
    ]
    for table, then in ((REFUSED, NO), (ABSENT, MISSING)):
        for numbers in table.values():
            rules += if_one_of((numbers[place],), then)
    for name, rule in by_arguments().items():
        rules += when(READ[name][place], rule)
    rules.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *rule) for rule in rules)


def by_arguments() -> dict[str, Rule]:
    """What is refused of the calls of READ."""
    a_stream = [*argument(1), (AND, 0, 0, TYPE), *unless_one_of((STREAM,), NO)]
    flags = argument(3)
    return {
        "clone": [*argument(0), *if_any_bit(NAMESPACES, NO)],
        "socket": [*argument(0), *unless_one_of(FAMILIES, NO), *a_stream],
        "socketpair": a_stream,
        "setsockopt": [*argument(2), *if_one_of(BUFFERS, NO)],
        "mmap": [
            *flags,
            *if_any_bit(HUGE_TABLE, NO),
            *if_any_bit(SHARED, if_any_bit(ANONYMOUS, NO)),
        ],
        "fcntl": [*argument(1), *if_one_of(WIDER, NO), *if_one_of(LOCKS, NOTHING)],
        "flock": NOTHING,
        "prctl": [*argument(0), *if_one_of(HUGE_PAGES, NO)],
    }


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
