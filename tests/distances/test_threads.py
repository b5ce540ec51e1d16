from threading import Event, Thread

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from hudd.distances.threads import strips, thread_count, workers


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_results_keep_their_order():
    with workers() as each:
        assert each(lambda a, b: a * b, ((n, 2) for n in range(50))) == list(range(0, 100, 2))


@pytest.mark.timing
@pytest.mark.parametrize("main_leaves_first", [False, True])
def test_blas_is_held_to_one_thread_and_let_go(main_leaves_first):
    with threadpool_limits(2, user_api="blas"):
        inside, leave = Event(), Event()

        def other():
            with workers():
                inside.set()
                leave.wait()

        thread = Thread(target=other, daemon=True)
        with workers():
            thread.start()
            inside.wait()
            assert blas_threads() == {1}
            if not main_leaves_first:
                leave.set()
                thread.join()
                assert blas_threads() == {1}
        leave.set()
        thread.join()
        assert blas_threads() == {2}


def test_thread_count_follows_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert thread_count() >= 1


def test_strips_cover_the_range():
    assert [(s.start, s.stop) for s in strips(2, 9, 3)] == [(2, 5), (5, 8), (8, 9)]
    assert list(strips(4, 4, 3)) == []
