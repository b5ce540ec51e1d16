import numpy as np
import pytest

from hudd.features import Contrast


def rows(count, seed):
    return np.random.default_rng(seed).standard_normal((count, 8)) * np.arange(1, 9)


def lengths(contrast, asked):
    return np.linalg.norm((asked - contrast.centre) @ contrast.directions, axis=1)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_trimming_keeps_what_unusual_normal_images_would_hide(share):
    failures, clean = rows(100, 0), rows(400, 1)
    failures[:, 0] += 30
    unusual = rows(round(400 * share), 2)
    unusual[:, 0] += 30
    mixed = np.concatenate([clean, unusual]).astype(np.float32)
    failures = failures.astype(np.float32)
    wanted, trimmed, plain = (
        lengths(Contrast.fit(failures, normal, trimmed=part), failures).mean()
        for normal, part in ((clean.astype(np.float32), 0.0), (mixed, 0.25), (mixed, 0.0))
    )
    assert plain < 0.8 * wanted
    assert trimmed > 0.95 * wanted


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_normal_images_can_be_trimmed(count):
    found = Contrast.fit(rows(9, 0).astype(np.float32), rows(count, 1).astype(np.float32), trimmed=0.25)
    assert np.isfinite(found.directions).all()


def test_a_trimmed_contrast_does_not_depend_on_the_order_of_the_normal_images():
    failures, normal = rows(50, 0).astype(np.float32), rows(200, 1).astype(np.float32)
    one, other = (Contrast.fit(failures, given, trimmed=0.25) for given in (normal, normal[::-1].copy()))
    np.testing.assert_allclose(lengths(one, failures), lengths(other, failures), rtol=1e-2)
