"""How the pixels of an image become what the DNN takes in."""

from __future__ import annotations

from dataclasses import dataclass

from hudd.settings.fields import Panel, setting


@dataclass(frozen=True)
class TransformSettings:
    """The fields of :class:`hudd.data.Transform`."""

    resize: tuple[int, int] | None = setting(
        None,
        help="Height and width in pixels to resize to, 45x60, or 45 for both; bilinear with antialiasing",
        panel=Panel.TRANSFORM,
        steps=("test",),
        metavar="SIZE",
    )
    scale: float = setting(
        1 / 255,
        help="Factor on the pixels' values of 0 to 255: 1/255 by default, which gives 0 to 1",
        panel=Panel.TRANSFORM,
        steps=("test",),
    )
    mean: float | tuple[float, ...] = setting(
        0.0,
        help="Subtracted after scaling: a number for all channels, or one for each, 0.485,0.456,0.406",
        panel=Panel.TRANSFORM,
        steps=("test",),
        metavar="NUMBERS",
    )
    std: float | tuple[float, ...] = setting(
        1.0,
        help="What is divided by after that: a number for all channels, or one for each",
        panel=Panel.TRANSFORM,
        steps=("test",),
        metavar="NUMBERS",
    )
    grayscale: bool | None = setting(
        None,
        help="One channel or three; by default as many as the file has, of image files three",
        panel=Panel.TRANSFORM,
        steps=("test",),
        option="--gray/--colour",
    )
