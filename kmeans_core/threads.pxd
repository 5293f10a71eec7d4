# Who runs a parallel region, see threads/threads.h.
cdef extern from "threads/threads.h" nogil:
    ctypedef void (*region_body)(void *context, int thread, int n_threads) noexcept nogil
    ctypedef void (*run_region)(region_body body, void *context, int n_threads) noexcept nogil

    void run_threads(region_body body, void *context, int n_threads) noexcept nogil
    void use_threads(run_region run) noexcept nogil
    bint has_pool() noexcept nogil
    void openmp_start() noexcept nogil
    void start_pool() noexcept nogil
    bint openmp_enabled() noexcept nogil
    int openmp_max_threads() noexcept nogil
    int count_cpus() noexcept nogil
    void openmp_release() noexcept nogil
