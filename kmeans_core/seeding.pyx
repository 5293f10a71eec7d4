# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""The passes of k-means++ over the samples; which candidates to try is decided in Python.

D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
"""
from cython.parallel cimport prange

cimport kernels as c
from shared cimport kernels_in_use

cdef const c.kernels **in_use = kernels_in_use()

# Samples whose potential is one entry of the table that candidates are drawn from: the search reads n / 4096 sums,
# then one block.
BLOCK_SAMPLES = 4096
cdef Py_ssize_t block_samples = 4096

ctypedef fused real:
    float
    double


def candidate_potentials(const real[:, ::1] X, const real[:, ::1] candidates, double scale,
                         const double[::1] min_sq_distances, const double[::1] sample_weight,
                         double[:, ::1] potentials, int n_threads):
    """Potential of each block of samples if a candidate became a center.

    candidates : (n_candidates, n_features), rows of X.   scale : power of two, see kernels.h.
    min_sq_distances : (n_samples,) float64, scaled.   potentials : (n_blocks, n_candidates) float64, written.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, first, count, n_samples = X.shape[0], n_blocks = potentials.shape[0]
    cdef const double *weight
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            first = b * block_samples
            count = min(block_samples, n_samples - first)
            weight = NULL if sample_weight is None else &sample_weight[first]
            if real is float:
                table.candidate_potentials_f32(&X[first, 0], count, X.shape[1], &candidates[0, 0],
                                               candidates.shape[0], scale, &min_sq_distances[first], weight,
                                               &potentials[b, 0])
            else:
                table.candidate_potentials_f64(&X[first, 0], count, X.shape[1], &candidates[0, 0],
                                               candidates.shape[0], scale, &min_sq_distances[first], weight,
                                               &potentials[b, 0])


def accept_candidate(const real[:, ::1] X, const real[::1] candidate, double scale, const double[::1] sample_weight,
                     double[::1] min_sq_distances, double[::1] potentials, int n_threads):
    """Make a candidate a center: lower min_sq_distances (updated) and tell the potential of each block (written)."""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, first, count, n_samples = X.shape[0], n_blocks = potentials.shape[0]
    cdef const double *weight
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            first = b * block_samples
            count = min(block_samples, n_samples - first)
            weight = NULL if sample_weight is None else &sample_weight[first]
            if real is float:
                potentials[b] = table.accept_candidate_f32(&X[first, 0], count, X.shape[1], &candidate[0], scale,
                                                           weight, &min_sq_distances[first])
            else:
                potentials[b] = table.accept_candidate_f64(&X[first, 0], count, X.shape[1], &candidate[0], scale,
                                                           weight, &min_sq_distances[first])
