"""What the message of each bad input advises, done: see :mod:`remedy`."""

import of_annotations  # noqa: F401
import of_commands  # noqa: F401
import of_criteria  # noqa: F401
import of_data  # noqa: F401
import of_differences  # noqa: F401
import of_monitors  # noqa: F401
import of_packed  # noqa: F401
import of_studies  # noqa: F401
from remedy import REMEDIES  # noqa: F401
