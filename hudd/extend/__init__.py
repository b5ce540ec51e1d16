"""What code of other packages is written against: the kinds of parts that hudd finds by name.

A package registers a part by an entry point in the group of its kind, ``name = "package.module:object"``. The part then
goes by that name in every setting and on the command line. A spec, ``package.module:object`` or
``path/file.py:object``, does without registration. See docs/how-to/extend.md.

===================  ==============================  ============================================
group                what is registered              used as
===================  ==============================  ============================================
``hudd.rules``       class of :class:`Rule`          ``--rules NAME``, ``hudd.LRP(rules=...)``
``hudd.features``    class of :class:`Features`      ``--features NAME``
``hudd.clusterers``  :class:`Clusterer`              ``--clusterer NAME``, ``hudd.cluster(...)``
``hudd.strategies``  :class:`SelectionStrategy`      ``--strategy NAME``, ``--compare NAMES``
``hudd.exporters``   object of :class:`Exporter`     ``hudd export --to NAME``
``hudd.attributes``  :class:`Measure`                ``--attributes NAMES``
``hudd.tasks``       class of :class:`Task`          ``--task NAME``
``hudd.cases``       object of :class:`Case`         ``hudd demo --case NAME``
===================  ==============================  ============================================
"""

from hudd.attributes import Attribute, Measure, Pictures
from hudd.clustering.clusterers import Clusterer
from hudd.data.cases import Case
from hudd.export.base import Exporter
from hudd.features.base import Extractor, Features, FeatureValues, Subject
from hudd.lrp.contraction import Contraction
from hudd.lrp.message import Message
from hudd.lrp.rules import Crossing, Rule
from hudd.parts import ATTRIBUTES, CASES, CLUSTERERS, EXPORTERS, FEATURES, RULES, STRATEGIES, TASKS
from hudd.registry import Registry
from hudd.selection.candidates import Candidates, SelectionStrategy
from hudd.selection.unsafe import UnsafeSet
from hudd.tasks import Classification, Judgement, Task, TaskSubject

__all__ = [
    "ATTRIBUTES",
    "CASES",
    "CLUSTERERS",
    "EXPORTERS",
    "FEATURES",
    "RULES",
    "STRATEGIES",
    "TASKS",
    "Attribute",
    "Candidates",
    "Case",
    "Classification",
    "Clusterer",
    "Contraction",
    "Crossing",
    "Exporter",
    "Extractor",
    "FeatureValues",
    "Features",
    "Judgement",
    "Measure",
    "Message",
    "Pictures",
    "Registry",
    "Rule",
    "SelectionStrategy",
    "Subject",
    "Task",
    "TaskSubject",
    "UnsafeSet",
]
