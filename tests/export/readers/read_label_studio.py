"""What Label Studio makes of an interface and its tasks, as JSON: the classes, and whether it takes each prediction.

.venv-peers/label_studio/bin/python tests/export/readers/read_label_studio.py tasks.json
"""

import json
import sys
from pathlib import Path

from label_studio_sdk.label_interface import LabelInterface

tasks = Path(sys.argv[1])
interface = LabelInterface((tasks.parent / "interface.xml").read_text("utf-8"))
predictions = [one for task in json.loads(tasks.read_text("utf-8")) for one in task["predictions"]]
taken = [
    interface.validate_prediction({"result": one["result"], "model_version": "hudd"}) for one in predictions
]
(control,) = interface.controls
print(json.dumps({"classes": list(control.labels), "taken": list(map(bool, taken))}))
