"""A small C library that counts a process's file-changing system calls, and stops or fails one.

It is compiled at run time and loaded with LD_PRELOAD. The process arms it with :func:`arm`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COUNT, KILL, TORN, FAIL_ONCE, FAIL_ON = range(5)
"""Only count; kill at a call; kill in a half done write; fail one call; fail all from one on."""

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls = 0;
static long chosen = 0;
static int mode = 0, failure = 0, armed = 0;

void shim_arm(long k, int how, int error) {
    calls = 0; chosen = k; mode = how; failure = error; armed = 1;
}
void shim_disarm(void) { armed = 0; }
long shim_count(void) { return calls; }

/* 1: the call fails; 2: half of a write is done, then the process ends */
static int step(void) {
    if (!armed) return 0;
    long now = ++calls;
    if (mode == 1 && now == chosen) kill(getpid(), SIGKILL), pause();
    if (mode == 2 && now == chosen) return 2;
    if ((mode == 3 && now == chosen) || (mode == 4 && now >= chosen)) { errno = failure; return 1; }
    return 0;
}
static int step_fd(int fd) {
    struct stat status;
    if (!armed || fstat(fd, &status) || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return 0;
    return step();
}
static void die(void) { kill(getpid(), SIGKILL); pause(); }

#define REAL(name) ({ static typeof(&name) real; \
    if (!real) real = (typeof(&name)) dlsym(RTLD_NEXT, #name); real; })
#define SIMPLE(name, parameters, arguments) \
    int name parameters { int s = step(); if (s == 1) return -1; if (s == 2) die(); \
        return REAL(name) arguments; }
#define ON_FD(type, name, parameters, arguments) \
    type name parameters { int s = step_fd(fd); if (s == 1) return -1; if (s == 2) die(); \
        return REAL(name) arguments; }
#define WRITE(name, parameters, whole, half) \
    ssize_t name parameters { int s = step_fd(fd); if (s == 1) return -1; \
        if (s == 2) { (void) !REAL(name) half; die(); } return REAL(name) whole; }
#define OPEN(name, first, arguments) \
    int name first { mode_t m = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) \
            { va_list more; va_start(more, flags); m = va_arg(more, mode_t); va_end(more); } \
        if (flags & (O_CREAT | O_TRUNC)) \
            { int s = step(); if (s == 1) return -1; if (s == 2) die(); } \
        return REAL(name) arguments; }

OPEN(open, (const char *path, int flags, ...), (path, flags, m))
OPEN(open64, (const char *path, int flags, ...), (path, flags, m))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, m))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, m))
WRITE(write, (int fd, const void *p, size_t n), (fd, p, n), (fd, p, n / 2))
WRITE(pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o), (fd, p, n / 2, o))
WRITE(pwrite64, (int fd, const void *p, size_t n, off64_t o), (fd, p, n, o), (fd, p, n / 2, o))
ON_FD(ssize_t, writev, (int fd, const struct iovec *p, int n), (fd, p, n))
ON_FD(ssize_t, sendfile, (int fd, int from, off_t *o, size_t n), (fd, from, o, n))
ON_FD(ssize_t, sendfile64, (int fd, int from, off64_t *o, size_t n), (fd, from, o, n))
ON_FD(int, ftruncate, (int fd, off_t n), (fd, n))
ON_FD(int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
SIMPLE(rename, (const char *a, const char *b), (a, b))
SIMPLE(renameat, (int x, const char *a, int y, const char *b), (x, a, y, b))
SIMPLE(renameat2, (int x, const char *a, int y, const char *b, unsigned f), (x, a, y, b, f))
SIMPLE(unlink, (const char *a), (a))
SIMPLE(unlinkat, (int x, const char *a, int f), (x, a, f))
SIMPLE(rmdir, (const char *a), (a))
SIMPLE(mkdir, (const char *a, mode_t m), (a, m))
SIMPLE(mkdirat, (int x, const char *a, mode_t m), (x, a, m))
SIMPLE(link, (const char *a, const char *b), (a, b))
SIMPLE(symlink, (const char *a, const char *b), (a, b))
SIMPLE(chmod, (const char *a, mode_t m), (a, m))
"""


def reexecute() -> bool:
    """Start this program again with the library; False where there is no compiler or loader."""
    if os.environ.get("THANOSQL_SHIM"):
        return True
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return False
    folder = Path(tempfile.mkdtemp(prefix="shim"))
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SOURCE)
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    os.environ |= {
        "THANOSQL_SHIM": str(library),
        "LD_PRELOAD": str(library),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    os.execv(sys.executable, [sys.executable, *sys.argv])


def remove() -> None:
    """Remove the compiled library."""
    if library := os.environ.get("THANOSQL_SHIM"):
        shutil.rmtree(Path(library).parent, ignore_errors=True)


def arm(call: int, mode: int, error: int = 0) -> None:
    """Count from 0 again, and do something at one call."""
    _library().shim_arm(ctypes.c_long(call), mode, error)


def disarm() -> int:
    """Stop, and return how many calls there were."""
    library = _library()
    library.shim_disarm()
    library.shim_count.restype = ctypes.c_long
    return int(library.shim_count())


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ["THANOSQL_SHIM"])
