"""A command that dies with its parent; run as a script that needs nothing but this file."""

import ctypes
import os
import pwd
import signal
import sys

NEW_USER_NAMESPACE = 0x10000000
SET_PARENT_DEATH_SIGNAL = 1
NOT_ROOT = "--not-root"


def tethered(command: list[str], at_parent_death: signal.Signals) -> list[str]:
    """The command line to spawn from the main thread: the tie is to the thread, not the process."""
    script = os.path.abspath(__file__)
    parent = str(os.getpid())
    return [sys.executable, "-I", "-S", script, parent, str(int(at_parent_death)), *command]


def tethered_not_root(command: list[str], at_parent_death: signal.Signals) -> list[str]:
    """As nobody where we are root, or a user without a name, neither of whom PostgreSQL serves."""
    return tethered([NOT_ROOT, *command], at_parent_death)


def die_with_parent(number: int, parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_PARENT_DEATH_SIGNAL, number)
    if os.getppid() != parent:  # it died before prctl took effect
        sys.exit(128 + number)


def enter_namespace(user: pwd.struct_passwd) -> None:
    ours, our_group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_USER_NAMESPACE):
        raise OSError(ctypes.get_errno(), "unshare")
    maps = {
        "setgroups": "deny",
        "uid_map": f"{user.pw_uid} {ours} 1",
        "gid_map": f"{user.pw_gid} {our_group} 1",
    }
    for name, text in maps.items():
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become_nobody() -> None:
    nobody = pwd.getpwnam("nobody")
    trial = os.fork()  # half a namespace cannot be left again, so a child tries first
    if trial == 0:
        try:
            enter_namespace(nobody)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(trial, 0)[1] == 0:
        enter_namespace(nobody)
    elif os.geteuid() == 0:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def has_name() -> bool:
    try:
        return bool(pwd.getpwuid(os.geteuid()))
    except KeyError:
        return False


def main() -> None:
    parent, number, *command = sys.argv[1:]
    if command[0] == NOT_ROOT:
        command = command[1:]
        if os.geteuid() == 0 or not has_name():
            become_nobody()
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        die_with_parent(int(number), int(parent))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
