"""Promise 3: the same bits for any number of threads, in every run, and for fits that run side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastkmeans import KMeans, kmeans_plusplus

N_THREADS = [1, 2, 3, 7]

CASES = {  # name -> (n_samples, n_features, n_clusters, weighted, starts with empty clusters)
    "one block and a bit": (20001, 5, 16, False, False),
    "many blocks": (150000, 3, 9, False, False),
    "weighted": (20001, 5, 16, True, False),
    "empty clusters": (20001, 5, 16, False, True),
    "weighted, empty clusters": (150000, 2, 12, True, True),
    "wide": (20001, 40, 30, False, False),
}


@pytest.fixture(params=CASES)
def case(request, blobs, real, rng):
    """Rows, initial centers and weights of a case."""
    n_samples, n_features, n_clusters, weighted, empty = CASES[request.param]
    X, _ = blobs(n_samples, n_features, n_clusters, real, std=5.0)
    init = X[:n_clusters].copy()
    if empty:
        init[::3] += 1000
    return X, init, rng.uniform(size=n_samples) if weighted else None


def test_threads_change_no_bit_of_a_fit(case, algorithm, fingerprint):
    X, init, weights = case
    fits = {}
    for n_threads in N_THREADS:
        model = KMeans(len(init), init=init, max_iter=8, tol=0, n_threads=n_threads, algorithm=algorithm)
        fits[n_threads] = model.fit(X, sample_weight=weights)
    digests = {n_threads: fingerprint(model) for n_threads, model in fits.items()}
    assert all(digest == digests[1] for digest in digests.values()), digests
    for name in ["inertia", "center_shift", "n_changed", "n_empty"]:
        trails = [[step[name] for step in model.history_] for model in fits.values()]
        assert all(trail == trails[0] for trail in trails), name


def test_threads_change_no_bit_of_an_answer(case):
    X, init, weights = case
    answers = []
    for n_threads in N_THREADS:
        model = KMeans.from_centers(init).set_params(n_threads=n_threads)
        labels, distances = model.predict(X), model.transform(X[:30000])  # n x k: a part is enough
        answers.append((labels.tobytes(), distances.tobytes(), model.score(X, sample_weight=weights)))
    assert all(answer == answers[0] for answer in answers)


def test_threads_change_no_bit_of_the_seeding(blobs, real, seed, fingerprint):
    X, _ = blobs(60001, 6, 20, real, std=3.0)
    for init in ["k-means++", "random", "random-partition"]:
        digests = []
        for n_threads in N_THREADS:
            model = KMeans(20, init=init, n_init=2, max_iter=3, random_state=seed, n_threads=n_threads)
            digests.append(fingerprint(model.fit(X)))
        assert all(digest == digests[0] for digest in digests), init


def test_repeated_runs_give_the_same_bits(blobs, real, seed, algorithm, fingerprint):
    X, _ = blobs(50000, 4, 10, real, std=4.0)
    model = KMeans(10, random_state=seed, max_iter=6, algorithm=algorithm)
    digests = [fingerprint(model.fit(X)) for _ in range(5)]
    assert all(digest == digests[0] for digest in digests)
    picks = [kmeans_plusplus(X, 10, random_state=seed)[1].tolist() for _ in range(3)]
    assert picks[0] == picks[1] == picks[2]


def test_fits_side_by_side_equal_fits_in_turn(blobs, real, seed, algorithm, fingerprint):
    X, _ = blobs(30000, 5, 12, real, std=4.0)

    def fit(i):
        model = KMeans(12, random_state=seed // 2 + i, max_iter=6, algorithm=algorithm)
        return fingerprint(model.fit(X[i * 500:]))

    in_turn = [fit(i) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(2):
            assert list(pool.map(fit, range(6))) == in_turn


def test_one_model_answers_many_threads(blobs, real, seed):
    X, _ = blobs(30000, 5, 12, real)
    model = KMeans(12, random_state=seed, max_iter=5).fit(X)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: model.predict(X), range(12)))
    for labels in answers:
        np.testing.assert_array_equal(labels, model.labels_)
