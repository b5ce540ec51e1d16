import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

import hudd
from hudd.study import Study
from hudd.summary import notebook


def test_a_clustering_shows_itself():
    points = np.concatenate([np.random.default_rng(0).normal(5 * k, 0.1, (6, 3)) for k in range(3)])
    found = hudd.cluster(pdist(points).astype(np.float32))
    page = found._repr_html_()
    assert page.count("<tr>") == found.k + 1
    assert f"<b>{found.k} clusters</b> of 18 rows" in page


def test_a_study_shows_itself_with_names_as_text(tmp_path, monkeypatch, make_study):
    study = Study.__new__(Study)
    study.path, study.settings = tmp_path / "<b>study", make_study().settings
    monkeypatch.setattr(Study, "has", lambda self, name: True)
    monkeypatch.setattr(notebook, "headline", lambda study: {"errors": "3 <of> 9"})
    monkeypatch.setattr(notebook, "table", lambda study, name: pd.DataFrame({"<script>": ["<img src=x>"]}))
    page = study._repr_html_()
    assert "<b>&lt;b&gt;study</b>" in page
    assert "3 &lt;of&gt; 9" in page
    assert "<script>" not in page
    assert "<img" not in page
    monkeypatch.setattr(Study, "has", lambda self, name: False)
    assert "not tested yet" in study._repr_html_()
