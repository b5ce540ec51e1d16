"""From decoded pixels to what the network takes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from hudd.data.compiled import is_taken, planes
from hudd.errors import UsageError
from hudd.lazy import torch
from hudd.settings import TransformSettings, documented


@documented
@dataclass(frozen=True)
class Transform(TransformSettings):
    """Resize, scale and normalise one image: uint8 pixels to float32 ``(C, H, W)``.

    The order is: colour or grey, resize, ``x * scale``, ``(x - mean) / std``.

    Raises
    ------
    UsageError
        If a value cannot be used.
    """

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Transform:
        """Make a transform from its fields by name, as a study's settings or a command line give them.

        Raises
        ------
        UsageError
            If there is no such field, or a value cannot be used.
        """
        known = tuple(cls.__dataclass_fields__)
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise UsageError(f"a transform has no '{unknown[0]}'; choose among: {', '.join(known)}.")
        try:
            return cls(**fields)
        except UsageError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                f"the transform {dict(fields)} cannot be made ({error}); give numbers, and resize as two whole ones."
            ) from error

    @classmethod
    def changed(cls, own: Any, fields: Mapping[str, Any]) -> Transform:
        """Make a transform from fields by name; those not given are those of the model's own, if it is a Transform."""
        kept = {name: getattr(own, name) for name in cls.__dataclass_fields__} if isinstance(own, cls) else {}
        return cls.of(kept | dict(fields))

    def __post_init__(self) -> None:
        if self.resize is not None:
            sides = tuple(int(side) for side in self.resize)
            if len(sides) != 2 or min(sides) < 1:
                raise UsageError(
                    f"resize is {self.resize}; give two positive whole numbers, height and width."
                )
            object.__setattr__(self, "resize", sides)
        for name in ("mean", "std"):
            value = np.asarray(getattr(self, name), dtype=float)
            if value.ndim > 1 or value.size not in (1, 3) or not np.isfinite(value).all():
                raise UsageError(
                    f"{name} is {getattr(self, name)}; give one finite number, or three for RGB."
                )
            if value.size == 3 and self.grayscale:
                raise UsageError(
                    f"{name} is {getattr(self, name)}, three numbers, but grey images have one channel; give one."
                )
            object.__setattr__(self, name, float(value) if value.ndim == 0 else tuple(value.tolist()))
        if not np.all(np.asarray(self.std) > 0):
            raise UsageError(f"std is {self.std}; give positive numbers.")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise UsageError(f"scale is {self.scale}; give a positive number, e.g. {1 / 255:.6f} or 1.")

    def __call__(self, image: Image.Image | np.ndarray) -> torch.Tensor:
        """Transform one Pillow image or one uint8 array ``(H, W)`` or ``(H, W, C)``; returns ``(C, H, W)``."""
        return self.many(np.asarray(image)[None])[0]

    def many(self, images: np.ndarray) -> torch.Tensor:
        """Transform uint8 images of one size, ``(n, H, W)`` or ``(n, H, W, C)``; returns ``(n, C, H, W)``."""
        if (
            images.dtype != np.uint8
            or images.ndim not in (3, 4)
            or (images.ndim == 4 and images.shape[3] not in (1, 3))
        ):
            raise UsageError(
                f"the transform received {images.dtype} images of shape {images.shape[1:]}; "
                "it takes uint8 images (H, W), (H, W, 1) or (H, W, 3)."
            )
        if images.ndim == 4 and images.shape[3] == 1:
            images = images[..., 0]
        images = self._sized(self._coloured(images))
        if images.ndim == 3 and max(np.size(self.mean), np.size(self.std)) > 1:
            raise UsageError(
                f"mean {self.mean} and std {self.std} are for three channels, but the images are grey; "
                "give one number each, or `grayscale=False`."
            )
        if is_taken(images):
            return torch.from_numpy(planes(images, self.scale, self.mean, self.std))
        channels = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        values = np.multiply(channels, np.float32(self.scale), dtype=np.float32, order="C")
        # NumPy, not torch: this runs in decoding threads, and each would start torch's own pool.
        if np.any(self.mean):
            values -= np.asarray(self.mean, dtype=np.float32).reshape(-1, 1, 1)
        if np.any(np.asarray(self.std) != 1):
            values /= np.asarray(self.std, dtype=np.float32).reshape(-1, 1, 1)
        return torch.from_numpy(values)

    def is_one_pass(self, images: np.ndarray) -> bool:
        """Say whether :meth:`many` takes one pass of the compiled core over such images."""
        return not self.grayscale and self.resize in (None, images.shape[1:3]) and is_taken(images)

    def _coloured(self, images: np.ndarray) -> np.ndarray:
        if self.grayscale is False and images.ndim == 3:
            return np.repeat(images[..., None], 3, axis=3)
        if self.grayscale and images.ndim == 4:
            return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])
        return images

    def _sized(self, images: np.ndarray) -> np.ndarray:
        if self.resize is None or images.shape[1:3] == self.resize:
            return images
        size = self.resize[::-1]
        resized = (Image.fromarray(image).resize(size, Image.Resampling.BILINEAR) for image in images)
        return np.stack([np.asarray(image) for image in resized])


def apply(transform: Any, pixels: np.ndarray, identifier: str) -> torch.Tensor:
    """Apply hudd's or anybody's transform to one uint8 image.

    Parameters
    ----------
    transform : Transform or callable
        A callable of another kind (say torchvision's) is given a Pillow image.
    pixels : numpy.ndarray
        ``(H, W)`` or ``(H, W, 3)`` uint8.
    identifier : str
        Names the image in the error.

    Returns
    -------
    torch.Tensor
        ``(C, H, W)`` float32.
    """
    tensor = transform(pixels if isinstance(transform, Transform) else Image.fromarray(pixels))
    if not isinstance(tensor, torch.Tensor) or tensor.ndim != 3 or not tensor.is_floating_point():
        got = (
            f"{tensor.dtype} {tuple(tensor.shape)}"
            if isinstance(tensor, torch.Tensor)
            else type(tensor).__name__
        )
        raise UsageError(
            f"the transform made {got} of image '{identifier}'; it must return a float tensor (C, H, W)."
        )
    return tensor.float()
