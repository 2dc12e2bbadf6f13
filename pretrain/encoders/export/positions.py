"""The attention of MViTs in few operations, as exporters need it."""

from torch import Tensor, arange
from torch.nn.functional import interpolate, pad
from torchvision.models.video.mvit import MultiscaleAttention

__all__ = ["TabledAttention"]

Sides = tuple[int, int, int]
"""Patches over time, height and width."""


class TabledAttention(MultiscaleAttention):  # type: ignore[misc]  # torchvision has no types
    """An MViT's attention that looks up its relative positions in the first pass, and keeps them.

    torchvision's computes them anew in every pass, by a hundred small operations a block, and adds them in
    place to a part of the attention, for which ONNX has no operation where the batch may have any size.
    """

    def forward(self, tokens: Tensor, sides: Sides) -> tuple[Tensor, Sides]:
        """(N, 1 + T H W, D) tokens of T x H x W patches to the next ones, and to how many those are."""
        count, length, _ = tokens.shape
        shape = (count, length, 3, self.num_heads, self.head_dim)
        queries, keys, values = self.qkv(tokens).reshape(shape).transpose(1, 3).unbind(2)
        queries, query_sides = self.pool_q(queries, sides) if self.pool_q else (queries, sides)
        keys, key_sides = self.pool_k(keys, sides) if self.pool_k else (keys, sides)
        values = self.pool_v(values, sides)[0] if self.pool_v else values
        attention = self.scaler * queries @ keys.transpose(2, 3)
        if self.rel_pos_h is not None:
            attention = attention + self.positions(queries, query_sides, key_sides)
        seen = attention.softmax(-1) @ values
        if self.residual_pool:
            whole = self.residual_with_cls_embed
            seen = seen + (queries if whole else pad(queries[:, :, 1:], (0, 0, 1, 0)))
        return self.project(seen.transpose(1, 2).reshape(count, -1, self.output_dim)), query_sides

    def positions(self, queries: Tensor, query_sides: Sides, key_sides: Sides) -> Tensor:
        """What is added to the attention between patches; 0 where the token of the whole is one of the two.

        Args:
            queries: (N, heads, 1 + T H W, d).
            query_sides: T, H and W of the queries.
            key_sides: of the keys, T' x H' x W'.

        Returns:
            (N, heads, 1 + T H W, 1 + T' H' W').
        """
        self.keep_tables(query_sides, key_sides)
        _, height, width = query_sides
        patches = queries[:, :, 1:].reshape(*queries.shape[:2], *query_sides, self.head_dim)
        over_time = (patches.flatten(3, 4) @ self.table_t).unflatten(3, (height, width))
        over_height = patches @ self.table_h
        over_width = (patches.transpose(3, 4) @ self.table_w).transpose(3, 4)
        summed = over_time[..., None, None] + over_height[..., None, :, None] + over_width[..., None, None, :]
        return pad(summed.flatten(5).flatten(2, 4), (1, 0, 1, 0))

    def keep_tables(self, query_sides: Sides, key_sides: Sides) -> None:
        """Look up the relative positions of as many patches, unless that has been done."""
        if "table_t" in self._buffers:
            return
        learnt = {"t": self.rel_pos_t, "h": self.rel_pos_h, "w": self.rel_pos_w}
        for (axis, positions), queries, keys in zip(learnt.items(), query_sides, key_sides, strict=True):
            self.register_buffer(f"table_{axis}", table(positions, queries, keys), persistent=False)


def table(positions: Tensor, queries: int, keys: int) -> Tensor:
    """(q, d, k) positions of k keys relative to q queries along one axis.

    Args:
        positions: (P, d) learnt ones, from the farthest before to the farthest behind.
        queries: q.
        keys: k, of which fewer lie farther apart.
    """
    query_step, key_step = max(keys / queries, 1.0), max(queries / keys, 1.0)
    distances = arange(queries)[:, None] * query_step + (keys - 1 - arange(keys)) * key_step
    wanted = interpolate(positions.detach().T[None], 2 * max(queries, keys) - 1, mode="linear")[0].T
    return wanted[distances.long()].transpose(1, 2)
