"""Backbones for feature extraction: loading one from any weight file, and exporting one for other tools."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastrot.config import Config, DataConfig, ModelConfig, from_mapping
from fastrot.models.resnet3d import BLOCKS, ResNet3D, Shortcut
from fastrot.models.weight_files import ABOUT, Weights, read_weights
from fastrot.rotation.op import normalize
from fastrot.rotation.pixels import Pixels
from fastrot.version import __version__
from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file

SUFFIXES = (".safetensors", ".pt", ".pth")
_CLIPS = (
    *("modality", "frames", "stride", "crop", "camera_motion", "dead_zone"),
    *("mean", "std"),
)
"""The keys of ``data`` that describe the clips a backbone was trained on."""


class Backbone(ResNet3D):
    """A pre-trained backbone with the format of its input clips; in eval mode when loaded.

    Attributes:
        model: Depth, width and shortcut.
        data: Modality, frames, stride, crop, mean and std of the clips that it was trained on.
    """

    def __init__(self, model: ModelConfig, data: DataConfig) -> None:
        super().__init__(model.depth, model.width, model.shortcut)
        self.model = model
        self.data = data

    @torch.inference_mode()
    def embed_clips(self, clips: Tensor) -> Tensor:
        """Compute the feature vectors of clips as the loader returns them.

        Args:
            clips: (B, T, H, W, 3) uint8 RGB, or int16 frame differences for ``dif``, on the backbone's
                device. T, H and W may differ from those in ``data``, which it was trained on.

        Returns:
            (B, 8 * width) float32; 512 values per clip for the standard network.

        Raises:
            ValueError: The shape or dtype is wrong.
        """
        pixels = Pixels(*self.data.statistics, self.conv1.weight.dtype)
        return self.embed(normalize(clips, pixels)).float()


@dataclass(frozen=True)
class Conversion:
    """The result of converting a file: tensors written, those not used, and those not in the file."""

    path: Path
    form: str
    model: ModelConfig
    tensors: int
    unused: list[str]
    untrained: list[str]

    def lines(self) -> list[str]:
        """Return the report to print."""
        model = self.model
        lines = [
            f"{self.path}: {self.tensors} tensors of a 3D ResNet-{model.depth}, width {model.width}, "
            f"shortcut {model.shortcut}, from {self.form}"
        ]
        if self.unused:
            lines.append(f"not used: {', '.join(self.unused)}")
        if self.untrained:
            lines.append(f"not in the file, randomly initialised: {', '.join(self.untrained)}")
        return lines


def load_backbone(
    path: Path | str,
    device: torch.device | str = "cpu",
    *,
    trained_on: DataConfig | None = None,
) -> Backbone:
    """Load a backbone to compute features: ``load_backbone("last.pt").embed_clips(clips)``.

    Args:
        path: A checkpoint or a run's folder, an export, a file in Hara's or torchvision's format, or a
            ``.safetensors`` file.
        device: The device to load it to.
        trained_on: The clips that the network was trained on. Required for a file that does not describe
            them, such as those of other projects, and rejected for any other.

    Returns:
        The backbone in eval mode, with its weights in channels_last_3d memory.

    Raises:
        UsageError: ``trained_on`` is missing, or the file describes its clips itself.
        FastrotError: The file cannot be read, or is not a 3D ResNet with basic blocks.
    """
    backbone, _ = _backbone_of(path, read_weights(path), trained_on)
    backbone.to(device)
    nn.utils.convert_conv3d_weight_memory_format(backbone, torch.channels_last_3d)
    return backbone.eval()


def convert(
    source: Path, out: Path, *, partial: bool = False, trained_on: DataConfig | None = None
) -> Conversion:
    """Export the backbone of a file, without its head, for other tools and for ``init=``.

    Tensor names are those of Hara's code. A ``.safetensors`` file stores the training format as metadata;
    a ``.pt`` or ``.pth`` file stores the tensors under ``state_dict``, like Hara's files.

    Args:
        source: As in ``load_backbone``.
        out: The file to write; its suffix selects the format.
        partial: Randomly initialise the tensors that ``source`` lacks or has in another shape, instead of
            raising an error.
        trained_on: As in ``load_backbone``.

    Raises:
        UsageError: The suffix is not supported, ``trained_on`` is missing, or it is superfluous.
        FastrotError: The source cannot be read or does not fit, or ``out`` cannot be written.
    """
    if out.suffix not in SUFFIXES:
        raise UsageError(f"{out}: unsupported suffix: use one of {', '.join(SUFFIXES)}")
    weights = read_weights(source)
    if partial:
        torch.manual_seed(0)  # for the tensors that are not in the file
    backbone, untrained = _backbone_of(source, weights, trained_on, partial=partial)
    tensors = {name: value.contiguous() for name, value in backbone.state_dict().items()}
    write_file(out, _serialize(out, tensors, _about(backbone)))
    unused = sorted(set(weights.tensors) - set(tensors))
    return Conversion(out, weights.form, backbone.model, len(tensors), unused, untrained)


def find_model(tensors: Mapping[str, Tensor]) -> ModelConfig:
    """Infer depth, width and shortcut from the names and shapes of the tensors.

    Raises:
        FastrotError: They belong to another architecture.
    """
    stem = tensors.get("conv1.weight")
    if stem is None or stem.ndim != 5:
        raise FastrotError("not a 3D ResNet: it has no five-dimensional weight conv1.weight")
    if any(".conv3." in name for name in tensors):
        raise FastrotError(
            "it has bottleneck blocks (ResNet-50 and deeper); only depths 10, 18 and 34 are supported"
        )
    blocks = tuple(
        len({name.split(".")[1] for name in tensors if name.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    depths = [depth for depth, known in BLOCKS.items() if known == blocks]
    if not depths:
        raise FastrotError(f"its stages have {blocks} blocks, which is not a ResNet-10, 18 or 34")
    shortcut: Shortcut = "B" if any(".downsample." in name for name in tensors) else "A"
    return ModelConfig(depth=cast(Any, depths[0]), width=len(stem), shortcut=shortcut)


def _backbone_of(
    path: Path | str, weights: Weights, trained_on: DataConfig | None, *, partial: bool = False
) -> tuple[Backbone, list[str]]:
    """Return the backbone of a file, and the names of the weights that are missing in the file."""
    try:
        model = find_model(weights.tensors)
    except FastrotError as error:
        raise FastrotError(f"{path}: {error}") from None
    backbone = Backbone(model, DataConfig())
    _, untrained = weights.copy_into(backbone, path, partial=partial)
    backbone.data = _clips_of(path, weights, trained_on)
    return backbone, untrained


def _clips_of(path: Path | str, weights: Weights, trained_on: DataConfig | None) -> DataConfig:
    """Return the clips that a network was trained on, by its file or by the user."""
    if "data" not in weights.about:
        if trained_on is None:
            raise UsageError(
                f"{path} ({weights.form}) does not contain what it was trained on: give a config with the "
                "same modality, frames, crop, mean and std, --trained-on CONFIG, such as "
                "--trained-on pretrain/kinetics_rgb_16.yaml (in Python: trained_on=config.data)"
            )
        return trained_on
    if trained_on is not None:
        raise UsageError(f"{path} contains what it was trained on: remove --trained-on")
    data = weights.about["data"]
    try:
        config: Config = from_mapping({"data": {key: data[key] for key in _CLIPS if key in data}})
    except (UsageError, TypeError) as error:
        raise FastrotError(f"{path}: invalid clip metadata: {error}") from None
    return config.data


def _about(backbone: Backbone) -> dict[str, Any]:
    data = asdict(backbone.data)
    data["mean"], data["std"] = backbone.data.statistics
    model = asdict(backbone.model)
    return {
        "model": {key: model[key] for key in ("depth", "width", "shortcut")},
        "data": {key: data[key] for key in _CLIPS},
        "fastrot": __version__,
    }


def _serialize(out: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    if out.suffix == ".safetensors":
        try:
            from safetensors.torch import save
        except ImportError:
            raise FastrotError(
                f"writing {out} needs safetensors: pip install safetensors"
            ) from None
        return save(tensors, metadata={ABOUT: json.dumps(about)})
    buffer = io.BytesIO()
    torch.save({"state_dict": tensors, ABOUT: about}, buffer)
    return buffer.getvalue()
