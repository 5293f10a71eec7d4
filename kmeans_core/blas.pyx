# cython: language_level=3, freethreading_compatible=True
"""One thread for NumPy's OpenBLAS, as long as any block asks for it.

The number of threads belongs to the whole process, so blocks are counted. The first block that is entered saves the
number and sets 1; the last one that is left restores it. This is compiled because no signal comes between compiled
lines: a block that is interrupted is counted both in and out. Python's lock is held throughout, so no two threads count
at once.
"""
from libc.stdint cimport uintptr_t

ctypedef int (*getter)() noexcept nogil
ctypedef void (*setter)(int) noexcept nogil

cdef getter get_n_threads = NULL
cdef setter set_n_threads = NULL
cdef int n_blocks = 0            # that are entered and not left
cdef int n_threads_before = 1    # of OpenBLAS, when the first of them was entered
cdef unsigned long n_forks = 0   # of this process and its ancestors, while blocks were entered


def use_openblas(uintptr_t get_address, uintptr_t set_address):
    """Set the addresses of openblas_get_num_threads and openblas_set_num_threads."""
    global get_n_threads, set_n_threads
    get_n_threads, set_n_threads = <getter>get_address, <setter>set_address


cdef class OneThread:
    """A context in which OpenBLAS has one thread. Each object serves one `with`, and none before use_openblas."""

    cdef bint is_counted
    cdef unsigned long n_forks_then

    def __enter__(self):
        global n_blocks, n_threads_before
        if set_n_threads == NULL or self.is_counted:
            return
        if n_blocks == 0:
            n_threads_before = get_n_threads()
            set_n_threads(1)
        n_blocks += 1
        self.n_forks_then = n_forks
        self.is_counted = True

    def __exit__(self, *exception):
        global n_blocks
        if not self.is_counted:
            return
        self.is_counted = False
        if self.n_forks_then != n_forks:
            return
        n_blocks -= 1
        if n_blocks == 0:
            restore()


def forget_blocks():
    """Forget all blocks, in a forked child: it lacks the threads that would leave them."""
    global n_blocks, n_forks
    if n_blocks == 0:
        return
    n_blocks = 0
    n_forks += 1
    restore()


cdef int restore() except -1:
    """Give OpenBLAS its threads back, unless someone has chosen another number since."""
    if get_n_threads() == 1:
        set_n_threads(n_threads_before)
    return 0
