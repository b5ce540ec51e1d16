"""Which part of a dossier speaks to which clause, and what stays with the user.

What a clause asks for is told in a few words of our own, to find it again; the standards themselves say what they ask.
"""

from __future__ import annotations

from hudd.dossier.content import Clause, Standard

DISCLAIMER = (
    "These tables help to find material for an argument. They claim no conformity with any of these documents, and no "
    "clause is fulfilled by this dossier alone."
)

STANDARDS = [
    Standard(
        "ISO 21448:2022, safety of the intended functionality",
        [
            Clause(
                "Clause 5",
                "specification and design, the domain among it",
                "1 system, 3 domain: values that the images cover",
                "intended functionality, the domain itself, known limitations",
            ),
            Clause(
                "Clause 6",
                "hazards and their risk",
                "",
                "hazard analysis; severity and controllability of each failure",
            ),
            Clause(
                "Clause 7",
                "potential functional insufficiencies and triggering conditions",
                "4 triggering conditions, appendix A images",
                "a systematic analysis in addition to this search; review of each candidate",
            ),
            Clause(
                "Clause 8",
                "modifications that address the risk",
                "5 retraining: fixed, regressed, residual failures",
                "choice and justification of the measure",
            ),
            Clause(
                "Clauses 10, 11",
                "evaluation of known and of unknown scenarios",
                "4 failure rates with intervals, for known conditions",
                "acceptance criteria; tests in the field; unknown scenarios",
            ),
            Clause(
                "Clause 12",
                "whether the safety of the intended functionality is achieved",
                "5 residual failures",
                "the residual risk and its acceptance",
            ),
        ],
    ),
    Standard(
        "ISO/PAS 8800:2024, road vehicles, safety and artificial intelligence",
        [
            Clause(
                "6.7.2",
                "classes of root causes",
                "4 triggering conditions: causes on the side of the input",
                "causes in design, training and deployment that inputs do not show",
            ),
            Clause(
                "6.7.3",
                "classes of errors by their impact on safety",
                "4 errors, rate and share of each condition, to be classified",
                "the impact of each error on safety",
            ),
        ],
    ),
    Standard(
        "AMLAS 1.1, assurance of machine learning for use in autonomous systems",
        [
            Clause(
                "[Z]",
                "results of verification",
                "4 failure rates; 5 residual failures, on the judge set where there is one",
                "verification data that no developer has seen",
            ),
            Clause(
                "[AA]",
                "log of verification",
                "2 digests of model and data, 7 versions and command",
                "who verified what, when and independently of whom",
            ),
            Clause(
                "[DD]",
                "log of erroneous behaviour",
                "4 triggering conditions, appendix A every failure with its digest",
                "erroneous behaviour in operation; its effect on the system",
            ),
        ],
    ),
    Standard(
        "Regulation (EU) 2024/1689 (AI Act), Annex IV",
        [
            Clause(
                "1, 2(a) to (c)",
                "description of the system and its development",
                "1 model and digests",
                "purpose, design, architecture, interaction with other systems",
            ),
            Clause(
                "2(d)",
                "data: origin, scope, characteristics",
                "2 sets and digests, 3 values that they cover",
                "origin, selection, labelling and cleaning of the data",
            ),
            Clause(
                "2(g)",
                "validation and testing: data, metrics, signed test reports",
                "4 rates, 5 retraining, 8 sign-off",
                "metrics of robustness and of discriminatory impact; signatures",
            ),
            Clause(
                "3",
                "capabilities and limits, degrees of accuracy, foreseeable risks",
                "4 conditions under which it fails, 6 limits of the method",
                "risks to health, safety and fundamental rights",
            ),
            Clause(
                "5",
                "the system of risk management",
                "",
                "all of it; conditions and their status may feed it",
            ),
        ],
    ),
]
