"""What FiftyOne's importer of its own format reads of a folder, as JSON: each sample's file, cluster and heatmap.

.venv-peers/fiftyone/bin/python tests/export/readers/read_fiftyone.py folder
"""

import json
import sys

from fiftyone.utils.data.importers import LegacyFiftyOneDatasetImporter

importer = LegacyFiftyOneDatasetImporter(sys.argv[1])
importer.setup()
samples = [
    {
        "filepath": sample.filepath,
        "root_cause": sample.root_cause.label,
        "heatmap": sample.relevance.map_path if sample.has_field("relevance") and sample.relevance else None,
        "tags": list(sample.tags),
    }
    for sample in importer
]
print(json.dumps(samples))
