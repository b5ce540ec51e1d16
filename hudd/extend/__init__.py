"""What code of other packages is written against: the kinds of parts that hudd finds by name.

A package registers a part by an entry point in the group of its kind, ``name = "package.module:object"``. The part then
goes by that name in every setting and on the command line. A spec, ``package.module:object`` or
``path/file.py:object``, does without registration. See docs/how-to/extend.md.

==================  =======================  ==========================================
group               what is registered       used as
==================  =======================  ==========================================
``hudd.rules``      class of :class:`Rule`   ``--rules NAME``, ``hudd.LRP(rules=...)``
``hudd.clusterers`` :class:`Clusterer`       ``--clusterer NAME``, ``hudd.cluster(...)``
==================  =======================  ==========================================
"""

from hudd.clustering.clusterers import CLUSTERERS, Clusterer
from hudd.lrp.composites import RULES
from hudd.lrp.contraction import Contraction
from hudd.lrp.message import Message
from hudd.lrp.rules import Crossing, Rule
from hudd.registry import Registry

__all__ = [
    "CLUSTERERS",
    "RULES",
    "Clusterer",
    "Contraction",
    "Crossing",
    "Message",
    "Registry",
    "Rule",
]
