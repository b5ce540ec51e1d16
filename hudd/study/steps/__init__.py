"""The steps of a study, one module each: ``run(study)`` brings the step's own result up to date."""
