"""A study as one HTML file that can be read, printed and passed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from hudd import plot
from hudd.errors import UsageError
from hudd.language import gettext as _
from hudd.language import spoken
from hudd.plot.style import CYCLE
from hudd.report.album import Album, LiveAlbum
from hudd.report.causes import entries, first_change, why
from hudd.report.chapters import compose, regressed_cards
from hudd.report.charts import as_svg, themed
from hudd.report.facts import Facts, gather
from hudd.report.languages import translations
from hudd.report.page import render
from hudd.report.trust import Trust
from hudd.review.view import View, view
from hudd.store.files import write_error, write_whole
from hudd.summary import assignment_line, cautions, mean_errors, table
from hudd.summary.judge import judge_facts
from hudd.tasks import Task
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Study

_AFTER = "mean after "


def write_report(
    study: Study,
    out: str | Path | None = None,
    *,
    images: int = 18,
    side: int = 192,
    inline: int = 24_000_000,
    layers: Sequence[str] | None = None,
    language: str | None = None,
) -> Path:
    """Write the report of a study that is clustered, with as much of the later steps as there is.

    Parameters
    ----------
    study : Study
        The study.
    out : str or Path, optional
        The HTML file; or a directory for its ``index.html``; by default ``report`` in the study's.
    images : int
        Members shown of each cluster: the medoid and those nearest to it. The others are listed by name.
    side : int
        Longer side of a picture in the file, in pixels.
    inline : int
        Bytes of pictures that the file itself may hold; beyond that they lie in a folder next to it.
    layers : sequence of str, optional
        Layers whose heatmaps can be laid over the pictures; by default the chosen one and the first.
    language : str, optional
        The code of a language that hudd has a catalogue of, or a catalogue of your own, a ``.mo`` file; by default
        the environment variable ``HUDD_LANGUAGE``, and English.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        If a layer is not in the study, a number is out of range or the language is unknown.
    HuddError
        If the study has no clusters yet, or the file cannot be written.
    """
    page = study.path / "report" if out is None else Path(out)
    if page.suffix not in (".html", ".htm"):
        page = page / "index.html"
    _check_numbers(images=images, side=side, inline=inline)
    with spoken(translations(language)):
        draft = _Draft(study, Album(side, inline), layers, images)
        try:
            page.parent.mkdir(parents=True, exist_ok=True)
            draft.album.close(page)
        except OSError as error:
            raise write_error(page, error) from error
        write_whole(page, draft.render(None).encode("utf-8", "backslashreplace"))
    return page


class LiveReport:
    """The report as a page to be served: clusters can be named, merged and split on it.

    Parameters
    ----------
    study : Study
        The study.
    images, side : int
        As for :func:`write_report`.
    """

    def __init__(self, study: Study, *, images: int = 18, side: int = 192) -> None:
        self.images, self.album = images, LiveAlbum(side, lambda name: f"/shot/{quote(name)}")
        self._trust = Trust(study)

    def page(self, results: View, revision: str) -> str:
        """Return the page.

        Parameters
        ----------
        results : View
            The study with its clusters as they are to be shown.
        revision : str
            What edits that are made on the page are based on.
        """
        return _Draft(results, self.album, None, self.images, self._trust).render(revision)


def _check_numbers(**numbers: int) -> None:
    for name, least in (("images", 1), ("side", 16), ("inline", 0)):
        if numbers.get(name, least) < least:
            raise UsageError(f"{name} is {numbers[name]}; give a whole number of at least {least}.")


class _Draft:
    """All that goes into one page."""

    def __init__(
        self,
        study: Study | View,
        album: Album,
        layers: Sequence[str] | None,
        images: int,
        trust: Trust | None = None,
    ) -> None:
        self.study = view(study)
        self.trust, self.album = trust or Trust(self.study.study), album
        unknown = [layer for layer in layers or () if layer not in study.layers]
        if unknown:
            raise UsageError(
                f"layer '{unknown[0]}' is not in this study; choose among: {', '.join(study.layers)}."
            )
        self.facts = gather(self.study, self.trust)
        self.layers = list(dict.fromkeys(layers or (self.facts.layer, study.layers[0])))
        self.chapters = compose(self.study, self.facts, album, self.layers, images)
        self.change = first_change(self.study, self.facts)
        self.causes = entries(self.study, self.facts, self.chapters, self.change)
        self.regressed = regressed_cards(self.study, self.facts, album)

    def render(self, revision: str | None) -> str:
        """Return the page; `revision` is of a page that is served."""
        study, facts = self.study, self.facts
        return render(
            "report",
            served=revision is not None,
            revision=revision,
            name=printable(study.path.name),
            facts=facts,
            chapters=self.chapters,
            causes=self.causes,
            why=why(study, len(self.causes)),
            change=self.change,
            regressed=self.regressed,
            layers=[
                {"name": printable(layer), "flat": len(study.heatmap_shape(layer)) < 3}
                for layer in self.layers
            ],
            rules_of_pictures=study.settings.rules_of_pictures,
            pictures_against=study.settings.pictures_against,
            table=_layer_table(study, facts),
            stability=self.trust.stability,
            conservation=self.trust.conservation,
            absorbing=self.trust.absorbing,
            charts=_charts(study, facts, self.trust),
            dots=" ".join(map(str, study.clusters.label[self.trust.sample].tolist())),
            sample=self.trust.sample.tolist() if self.trust.sampled else [],
            colours={
                chapter.cluster.label: themed(CYCLE[chapter.cluster.label % len(CYCLE)])
                for chapter in self.chapters
            },
            provenance=_provenance(study.provenance),
            task=study.task,
            draws=type(study.task).draw is not Task.draw,
            judge=judge_facts(study, facts.retrained[0].mode if facts.retrained else ""),
            cautions=[printable(text) for text in cautions(study)],
            labels=printable(assignment_line(study)),
            classes=table(study, "classes").to_dict("records"),
            parts_off=_parts(study),
            mean_errors={split: mean_errors(study, split) for split in ("judge", "test")},
        )


# -- charts ---------------------------------------------------------------------------------------------


def _charts(study: View, facts: Facts, trust: Trust) -> dict[str, Markup]:
    clustering, causes = study.clustering_of(facts.layer), study.causes
    charts = {}
    tested = bool(np.isfinite([causes.p_apart, causes.p_inside]).any())
    if tested:
        charts["splits"] = as_svg(
            plot.splits(causes), _("How clearly the splits of the dendrogram set causes apart")
        )
    by_size = study.settings.choices.cluster_size is not None  # in place of the curve's knee
    if len(clustering.ks) and not (tested and by_size):
        told = _("WICD over the number of clusters; k = {count} was chosen").format(count=clustering.k)
        charts["wicd"] = as_svg(plot.wicd(clustering), told)
    if clustering.k > 1 and len(clustering.linkage):
        told = _("How the {count} clusters join").format(count=clustering.k)
        charts["dendrogram"] = as_svg(plot.dendrogram(clustering), told)
    if trust.points is not None:
        medoids = study.clusters.medoid
        numbered = np.searchsorted(trust.sample, np.intersect1d(medoids, trust.sample))
        figure = plot.embedding(trust.points, study.clusters.label[trust.sample], numbered)
        told = _("Map of the errors by their heatmap distances, clusters numbered at their medoids")
        charts["map"] = as_svg(figure, told)
    if facts.retrained:
        after = {retrained.mode: retrained.accuracies for retrained in facts.retrained}
        told = _("Test accuracy before and after retraining")
        charts["retraining"] = as_svg(plot.retraining(facts.accuracy, after), told)
    return charts


def _parts(study: View) -> dict[str, Any] | None:
    """Return the errors of each output or landmark as a chart and a table; None where there are none."""
    if not study.has("splits/test/values/off") or not len(rows := table(study, "parts")):
        return None
    part, *columns = (printable(str(name)) for name in rows.columns)
    names = [printable(str(name)) for name in rows.iloc[:, 0]]
    after = {
        name.removeprefix(_AFTER): rows[name].to_numpy() for name in rows.columns if name.startswith(_AFTER)
    }
    figure = plot.part_errors(names, rows["mean"].to_numpy(), after)
    return {
        "part": part,
        "columns": columns,
        "rows": [(name, *values) for name, values in zip(names, rows.iloc[:, 1:].to_numpy().tolist())],
        "modes": [printable(mode) for mode in after],
        "chart": as_svg(figure, _("Mean error of each {part} on the test images").format(part=_(part))),
    }


def _layer_table(study: View, facts: Facts) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for layer in study.layers:
        found = study.clustering_of(layer)
        shape = " × ".join(map(str, study.heatmap_shape(layer)))
        chosen = layer == facts.layer
        rows.append(
            {
                "name": printable(layer),
                "shape": shape,
                "k": found.k,
                "scaled": found.scaled_wicd,
                "wicd": found.wicd,
                "chosen": chosen,
            }
        )
    most = max((row["scaled"] for row in rows if np.isfinite(row["scaled"])), default=1) or 1
    for row in rows:
        row["bar"] = row["scaled"] / most if np.isfinite(row["scaled"]) else 0
    return rows


def _provenance(provenance: dict[str, Any]) -> dict[str, Any]:
    """Split what is known about the making into single facts, settings and steps, a step's parts in one line."""
    rest = dict(provenance)
    settings, records = rest.pop("settings", {}), rest.pop("steps", {})
    steps: dict[str, dict[str, Any]] = {}
    for name, record in sorted(records.items(), key=lambda item: str(item[1]["finished"])):
        step = steps.setdefault(name.split("/")[0], {"name": printable(name.split("/")[0]), "seconds": 0.0})
        step["seconds"] += float(record["seconds"])
        step["finished"] = printable(record["finished"])
        step["on"] = printable(f"{record['machine']}, torch {record['torch_version']}")
    return {
        "facts": {printable(key): printable(value) for key, value in rest.items()},
        "settings": {
            printable(key): printable(value) for key, value in settings.items() if not _is_open(value)
        },
        "open": [printable(key) for key, value in settings.items() if _is_open(value)],
        "steps": list(steps.values()),
    }


def _is_open(value: object) -> bool:
    """Say whether a setting was left to the preset, the model or the data."""
    return value in (None, "", {}, [])
