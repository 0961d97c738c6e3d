"""Become a store's server: a program of its own, run as `launch.py PARENT SIGNAL UID GID COMMAND...`.

It stands between the service and a server to do what can only be done inside the new process: leave root, and
ask the kernel for a signal when the service dies. A program instead of a hook between fork and exec, because
Python code there can deadlock in a process with threads. It is run by path and isolated, so it imports the
standard library only.

PostgreSQL refuses to run as root, so root hands it to another account (UID, GID; -1 and -1: stay the same).
That account can usually not even reach the program or the data: a clone below /root, a data directory that is
closed to others. Opening up those directories is not ours to do; instead the server keeps one *ambient
capability*: to read files and pass directories whatever their permissions (CAP_DAC_READ_SEARCH). Where a
container withholds that one, or the program was installed so that others may not even execute it, it is the
wider CAP_DAC_OVERRIDE. Everything else of root is gone. So the superuser of the database reads what root
reads; its socket lies in a directory that only root can enter.
"""

import contextlib
import ctypes
import os
import stat
import sys

# Numbers of Linux's interface for programs: prctl(2), capabilities(7).
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAP_KILL = 5
_CAPABILITY_VERSION_3 = 0x20080522

CANNOT_LAUNCH = 71
"""The exit status for "the server was never started"; the reason is on standard error."""

WAYS_OUT = "Run rdchat as an ordinary user, or name a PostgreSQL server of your own with RDCHAT_DATABASE_URL."


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    # Two of them make 64 bits; both capabilities used here live in the first.
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _prctl(option: int, *arguments: int) -> None:
    # prctl is variadic and reads longs: every argument is passed as one, the unused as zero.
    padded = [*arguments, 0, 0, 0, 0][:4]
    _checked(
        _libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)), f"prctl {option}"
    )


def _bypass_we_may_keep(program: str) -> int:
    """Return the narrowest capability we hold with which another account can run `program`."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    held = (_CapabilitySet * 2)()
    _checked(_libc.capget(ctypes.byref(header), held), "capget")
    anybody_may_execute = os.stat(program).st_mode & stat.S_IXOTH  # noqa: PTH116 - keeps the imports few
    enough = (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if anybody_may_execute else (_CAP_DAC_OVERRIDE,)
    if not held[0].permitted & (1 << _CAP_KILL):
        raise PermissionError("this root account lacks CAP_KILL: it could not stop what it starts")
    for capability in enough:
        if held[0].permitted & (1 << capability):
            return capability
    raise PermissionError(
        "this root account lacks CAP_DAC_OVERRIDE, and CAP_DAC_READ_SEARCH or a program anybody may execute"
    )


def _leave_root(uid: int, gid: int, program: str) -> None:
    """Become (uid, gid) for good, with no other groups and one capability, which exec will pass on."""
    if not sys.platform.startswith("linux"):
        raise OSError("implemented for Linux only")
    capability = _bypass_we_may_keep(program)
    # Two wishes. The change of user must not take every capability away; and access(2), with which
    # PostgreSQL looks for its own programs, must count the one that stays: for users other than root it does
    # so under this bit only. The bit needs CAP_SETPCAP; without it, programs below a closed directory are
    # not found.
    _prctl(_PR_SET_KEEPCAPS, 1)
    with contextlib.suppress(PermissionError):
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    kept = (_CapabilitySet * 2)()
    kept[0] = _CapabilitySet(1 << capability, 1 << capability, 1 << capability)
    _checked(_libc.capset(ctypes.byref(header), kept), "capset")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _follow(parent: int, signal_number: int) -> None:
    """Ask for `signal_number` when the parent dies. A change of user clears this, so it comes last."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(CANNOT_LAUNCH)


def main(arguments: list[str]) -> None:
    """Turn this process into the command in `arguments`; never return."""
    parent, signal_number, uid, gid = (int(value) for value in arguments[:4])
    command = arguments[4:]
    os.umask(0o077)
    if uid >= 0:
        try:
            _leave_root(uid, gid, command[0])
        except OSError as error:
            sys.stderr.write(f"Cannot run {command[0]} as user {uid} instead of root ({error}). {WAYS_OUT}\n")
            sys.exit(CANNOT_LAUNCH)
    if sys.platform.startswith("linux"):
        _follow(parent, signal_number)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"Cannot run {command[0]}: {error.strerror}. {WAYS_OUT if uid >= 0 else ''}\n")
        sys.exit(CANNOT_LAUNCH)


if __name__ == "__main__":
    main(sys.argv[1:])
