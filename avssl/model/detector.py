"""Faster R-CNN (Ren and others, NeurIPS 2015), torchvision's, on the maps of any encoder.

    maps ── pyramid (Lin and others, CVPR 2017), or one map through 1×1 ── [B, width, h, w] a level
         ── region proposals ── boxes of what may be a thing
         ── RoI align 7×7 ── two linear layers ── class and box of each

The head holds all but the encoder, its losses too: torchvision's parts give either losses (in
training) or detections. Pictures come as they are to be looked at: torchvision's own scaling is
left out.

Shapes: B pictures of H x W px; boxes (x0, y0, x1, y1) px from the corner.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

RATIOS = (0.5, 1.0, 2.0)
"""Of height to width of the anchors (Ren 2015)."""
POOLED = 7
_EVALUATION_SEED = 20_260_102
Target = dict[str, Tensor]
"""{"boxes": float [n, 4], "labels": int64 [n], from 1}: torchvision's, 0 is the background."""


class Neck(nn.Module):
    """Maps of an encoder → maps of one width, by name: what torchvision calls a backbone."""

    def __init__(self, channels: Sequence[int], *, width: int) -> None:
        from torchvision.ops import FeaturePyramidNetwork

        super().__init__()
        self.out_channels = width
        self.names = [str(number) for number in range(len(channels))]
        self.inner: nn.Module = (
            FeaturePyramidNetwork(list(channels), width)
            if len(channels) > 1
            else nn.Sequential(nn.Conv2d(channels[0], width, 1), nn.ReLU())
        )

    def forward(self, maps: Sequence[Tensor]) -> dict[str, Tensor]:
        """Takes maps [B, channels, h, w], the finest first, to {name: [B, width, h, w]}."""
        if len(self.names) == 1:
            return {self.names[0]: self.inner(maps[0])}
        return dict(self.inner(OrderedDict(zip(self.names, maps, strict=True))))


class DetectionHead(nn.Module):
    """Maps → losses and detections; see the file's head."""

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        num_classes: int,
        width: int,
        hidden: int,
        anchor_cells: Sequence[float],
        num_proposals: int,
        num_sampled: int,
        max_found: int,
    ) -> None:
        """Builds the layers.

        Args:
            channels: of each map, the finest first.
            strides: of each map, px.
            num_classes: without the background.
            width: channels of the neck.
            hidden: length of the two linear layers.
            anchor_cells: sides of the anchors, in cells of each map.
            num_proposals: kept a picture after suppression (training looks at as many).
            num_sampled: proposals a picture that the classifier is trained on.
            max_found: detections a picture.
        """
        # torchvision's detectors take a second to import: `avssl tasks` need not wait for them
        from torchvision.models.detection import FasterRCNN
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.ops import MultiScaleRoIAlign

        super().__init__()
        neck = Neck(channels, width=width)
        anchors = AnchorGenerator(
            sizes=tuple(tuple(cells * stride for cells in anchor_cells) for stride in strides),  # type: ignore[arg-type]
            aspect_ratios=(RATIOS,) * len(strides),  # type: ignore[arg-type]
        )
        # 224 px go to the map of stride 16 where anchors have 8 cells (Lin 2017); alike for others
        pool = MultiScaleRoIAlign(
            neck.names, POOLED, sampling_ratio=2, canonical_scale=round(28 * anchor_cells[0])
        )
        self.detector = FasterRCNN(
            neck,
            rpn_anchor_generator=anchors,
            rpn_pre_nms_top_n_train=2 * num_proposals,
            rpn_pre_nms_top_n_test=num_proposals,
            rpn_post_nms_top_n_train=num_proposals,
            rpn_post_nms_top_n_test=num_proposals,
            box_roi_pool=pool,
            box_head=TwoMLPHead(width * POOLED**2, hidden),
            box_predictor=FastRCNNPredictor(hidden, num_classes + 1),
            box_batch_size_per_image=num_sampled,
            box_detections_per_img=max_found,
            box_score_thresh=0.01,
        )
        self.max_found = max_found

    def forward(
        self, maps: Sequence[Tensor], pictures: Tensor, targets: list[Target] | None
    ) -> dict[str, Tensor]:
        """Gives losses where there are targets, and detections in evaluation mode.

        Args:
            maps: [B, channels, h, w], the finest first.
            pictures: [B, 3, H, W]; only their size counts.
            targets: the truth of each picture, or None.

        Returns:
            "losses" [4] (objectness, proposals' boxes, classes, boxes); "found" [B, max_found, 6]:
            box, score (0: nothing), class from 0.
        """
        from torchvision.models.detection.image_list import ImageList

        model: Any = self.detector
        height, width = int(pictures.shape[2]), int(pictures.shape[3])
        images = ImageList(pictures, [(height, width)] * len(pictures))
        features = {name: value.float() for name, value in model.backbone(maps).items()}
        out: dict[str, Tensor] = {}
        if targets is not None:
            out["losses"] = self._losses(images, features, targets)
        if not self.training:
            proposals, _ = model.rpn(images, features)
            found, _ = model.roi_heads(features, proposals, images.image_sizes)
            out["found"] = torch.stack([self._padded(one) for one in found])
        return out

    def _losses(self, images: Any, features: dict[str, Tensor], targets: list[Target]) -> Tensor:
        """Gives the four losses; in evaluation with the same draws of anchors every time."""
        model: Any = self.detector
        was_training = self.training
        devices = [features["0"].device] if features["0"].is_cuda else []
        with torch.random.fork_rng(devices=devices, enabled=not was_training):
            if not was_training:
                torch.manual_seed(_EVALUATION_SEED)
            model.rpn.train()
            model.roi_heads.train()
            proposals, first = model.rpn(images, features, targets)
            _, second = model.roi_heads(features, proposals, images.image_sizes, targets)
            model.rpn.train(was_training)
            model.roi_heads.train(was_training)
        names = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg")
        return torch.stack([{**first, **second}[name] for name in names])

    def _padded(self, found: Target) -> Tensor:
        rows = torch.cat(
            [found["boxes"], found["scores"][:, None], found["labels"][:, None] - 1.0], dim=1
        )
        missing = rows.new_zeros(self.max_found - len(rows), 6)
        return torch.cat([rows, missing])
