"""The loss of classifying heads, with its gradient written out."""

import torch


def cross_entropy(
    logits_SLCB: torch.Tensor,
    label_SB: torch.Tensor,
    weight_SB: torch.Tensor,
    weight_C: torch.Tensor,
    smoothing: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of each member, float32 (S, L), and its gradient by the logits (S, L, C, B).

    weight_SB: class weight of each row. Weights and label smoothing act as in torch's CrossEntropyLoss: the loss is
    -Σ t log p and the gradient p Σ t - t, for targets t with the weight on the label and `smoothing` on all classes.
    """
    weight_S1B = weight_SB[:, None]
    label_SL1B = label_SB[:, None, None].expand(-1, logits_SLCB.shape[1], 1, -1)
    total_S11 = weight_S1B.sum(2, keepdim=True)
    target_S1B = weight_S1B * (1 - smoothing) / total_S11
    log_SLCB = torch.log_softmax(logits_SLCB, 2)
    loss_SL = -(log_SLCB.gather(2, label_SL1B)[:, :, 0] * target_S1B).sum(2)
    sum_S1B = target_S1B
    if smoothing:
        all_S1C1 = (weight_C[:, None] * smoothing / len(weight_C)) / total_S11[..., None]
        loss_SL -= (log_SLCB * all_S1C1).sum((2, 3))
        sum_S1B = target_S1B + all_S1C1.sum(2)
    slope_SLCB = log_SLCB.exp_().mul_(sum_S1B[:, :, None])
    if smoothing:
        slope_SLCB -= all_S1C1
    return loss_SL, slope_SLCB.scatter_add_(2, label_SL1B, -target_S1B[:, :, None].expand_as(label_SL1B))


def squared_error(outputs_SLKB: torch.Tensor, y_SBK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared error of each member, float32 (S, L), and its gradient by the outputs (S, L, K, B)."""
    error_SLKB = outputs_SLKB - y_SBK.transpose(1, 2)[:, None].to(outputs_SLKB.dtype)
    count = error_SLKB.shape[2] * error_SLKB.shape[3]
    return error_SLKB.square().sum((2, 3)) / count, error_SLKB.mul_(2 / count)


def binary_cross_entropy(logits_SLKB: torch.Tensor, y_SBK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of each label of each member, the mean (S, L), and its gradient by the logits (S, L, K, B).

    log(1 + exp(x)) - y x, as torch's BCEWithLogitsLoss; the gradient is sigmoid(x) - y.
    """
    y_S1KB = y_SBK.transpose(1, 2)[:, None].to(logits_SLKB.dtype)
    count = logits_SLKB.shape[2] * logits_SLKB.shape[3]
    loss_SL = (torch.nn.functional.softplus(logits_SLKB) - y_S1KB * logits_SLKB).sum((2, 3)) / count
    return loss_SL, (logits_SLKB.sigmoid() - y_S1KB).div_(count)
