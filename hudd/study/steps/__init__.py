"""The steps of a study. A module that declares a :class:`hudd.study.step.Step` as its ``STEP`` is one of them."""
