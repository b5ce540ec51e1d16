"""A classification that counts doubtful answers as errors."""

from dataclasses import replace

import numpy as np

from hudd.extend import Classification


class Sure(Classification):
    """An answer of less than 90 % probability is an outcome of its own, and an error."""

    def outcomes(self, source):
        """Name the classes, then the doubtful answers."""
        return [*source.class_names, "unsure"]

    def judge(self, columns, source, facts):
        """Explain the predicted class, of a doubtful answer too."""
        found, unsure = super().judge(columns, source, facts), columns["score"] < 0.9
        outcome = np.where(unsure, len(source.class_names), found.prediction)
        return replace(found, prediction=outcome, explained=found.prediction)

    def right(self, found, source, facts):
        """Judge the outputs after retraining in the same way."""
        return self.judge(self.read(found.output, found.scale), source, facts).correct
