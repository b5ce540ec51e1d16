"""What ViRelAy reads of a project, as JSON: its names, and of each layer and row what it would draw.

    .venv-peers/virelay/bin/python tests/export/readers/read_virelay.py project.yaml

A heatmap is rendered alone and over its picture, as ViRelAy's server does for its page.
"""

import json
import sys

from virelay.model import Project

project = Project(sys.argv[1])
(method,) = project.get_analysis_methods()
(clustering,) = project.get_analysis_clustering_names(method)
(embedding,) = project.get_analysis_embedding_names(method)
layers = {}
for category in project.get_analysis_categories(method):
    analysis = project.get_analysis(method, category.name, clustering, embedding)
    layers[category.name] = {
        "clusters": analysis.clustering.tolist(),
        "embedding shape": list(analysis.embedding.shape),
    }
rows = []
for row in range(len(layers[category.name]["clusters"])):
    sample, attribution = project.get_sample(row), project.get_attribution(row)
    rendered = (
        attribution.render_heatmap("blue-white-red"),
        attribution.render_heatmap("blue-white-red", sample.data),
    )
    rows.append(
        {
            "picture": sample.data.tolist(),
            "label": int(sample.labels[0].index),
            "prediction": int(attribution.prediction.argmax()),
            "attribution shape": list(attribution.data.shape),
            "rendered shapes": [list(heatmap.shape) for heatmap in rendered],
        }
    )
names = {"name": project.name, "clustering": clustering, "embedding": embedding}
print(json.dumps(names | {"layers": layers, "rows": rows}))
