"""Checkpoints under their published names: every tensor finds its place, nothing is executed, misfits are refused."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import UnreadableInput, WrongUsage
from engine.networks.earthformer import Earthformer
from engine.networks.importing import import_into, read_checkpoint
from engine.networks.simvp import SimVP


def simvp_names(translator: str, frames: int, spatial: int, temporal: int, depth: int) -> dict[str, tuple[int, ...]]:
    """What OpenSTL calls the tensors of SimVP_Model, with their shapes."""
    names: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        names[f"{name}.weight"] = shape
        if bias:
            names[f"{name}.bias"] = shape[:1]

    for k in range(4):
        layer(f"enc.enc.{k}.conv.conv", spatial, 1 if k == 0 else spatial, 3, 3)
        layer(f"enc.enc.{k}.conv.norm", spatial)
        if k in (0, 2):
            layer(f"dec.dec.{k}.conv.conv.0", 4 * spatial, spatial, 3, 3)
        else:
            layer(f"dec.dec.{k}.conv.conv", spatial, spatial, 3, 3)
        layer(f"dec.dec.{k}.conv.norm", spatial)
    layer("dec.readout", 1, spatial, 1, 1)
    channels = frames * spatial
    if translator == "incepu":
        for k in range(depth):
            for side, a, b in (("enc", channels if k == 0 else temporal, temporal),
                               ("dec", temporal if k == 0 else 2 * temporal, channels if k == depth - 1 else temporal)):
                layer(f"hid.{side}.{k}.conv1", temporal // 2, a, 1, 1)
                for n, size in enumerate((3, 5, 7, 11)):
                    layer(f"hid.{side}.{k}.layers.{n}.conv", b, temporal // 16, size, size)
                    layer(f"hid.{side}.{k}.layers.{n}.norm", b)
        return names
    widths = [channels, *[temporal] * (depth - 1), channels]
    for k, (d, out) in enumerate(itertools.pairwise(widths)):
        block = f"hid.enc.{k}.block"
        for n in (1, 2):
            layer(f"{block}.norm{n}", d)
            names |= {f"{block}.norm{n}.running_mean": (d,), f"{block}.norm{n}.running_var": (d,),
                      f"{block}.norm{n}.num_batches_tracked": (), f"{block}.layer_scale_{n}": (d,)}
            layer(f"{block}.attn.proj_{n}", d, d, 1, 1)
        gate = f"{block}.attn.spatial_gating_unit"
        layer(f"{gate}.conv0", d, 1, 5, 5)
        layer(f"{gate}.conv_spatial", d, 1, 7, 7)
        layer(f"{gate}.conv1", d if translator == "tau" else 2 * d, d, 1, 1)
        if translator == "tau":
            inner = d // max(d // 16, 4)
            layer(f"{gate}.fc.0", inner, d, bias=False)
            layer(f"{gate}.fc.2", d, inner, bias=False)
        layer(f"{block}.mlp.fc1", 8 * d, d, 1, 1)
        layer(f"{block}.mlp.dwconv.dwconv", 8 * d, 1, 3, 3)
        layer(f"{block}.mlp.fc2", d, 8 * d, 1, 1)
        if d != out:
            layer(f"hid.enc.{k}.reduction", out, d, 1, 1)
    return names


def earthformer_names(vectors: bool, separate: bool, t_in: int, t_out: int) -> dict[str, tuple[int, ...]]:
    """The same of CuboidTransformerModel, 20 x 24 frames, stages of 8 and 16 channels, shrunk by 3 and 2."""
    names: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        names[f"{name}.weight"] = shape
        if bias:
            names[f"{name}.bias"] = shape[:1]

    def convolutions(name: str, a: int, b: int) -> None:
        layer(f"{name}.0", b, a, 3, 3)
        layer(f"{name}.3", b, b, 3, 3)
        layer(f"{name}.1", b)
        layer(f"{name}.4", b)

    def feed(name: str, d: int) -> None:
        layer(f"{name}.layer_norm", d)
        layer(f"{name}.ffn_1", 4 * d, d)
        layer(f"{name}.ffn_2", d, 4 * d)

    def block(name: str, d: int, sizes: tuple[int, int, int], some: bool) -> None:
        for k, size in enumerate(sizes):
            own = f"{name}.attn_l.{k}"
            names[f"{own}.relative_position_bias_table"] = (2 * size - 1, 4)
            names[f"{own}.relative_position_index"] = (size, size)
            layer(f"{own}.qkv", 3 * d, d, bias=False)
            layer(f"{own}.proj", d, d)
            layer(f"{own}.norm", d)
            feed(f"{name}.ffn_l.{k}", d)
            if not some:
                continue
            layer(f"{own}.global_proj", d, d)
            layer(f"{own}.global_vec_norm", d)
            parts = {"l2g_q_net": 1, "l2g_global_kv_net": 2, "g2l_global_q_net": 1, "g2l_k_net": 1, "g2l_v_net": 1,
                     "g2g_global_qkv_net": 3} if separate else {"global_qkv": 3}
            for part, times in parts.items():
                layer(f"{own}.{part}", times * d, d, bias=False)

    fine, coarse = (t_in, 4, 4), (t_in, 2, 2)
    for k, (a, b, factor) in enumerate(((1, 8, 3), (8, 16, 2))):
        convolutions(f"initial_encoder.conv_block_list.{k}", a, b)
        layer(f"initial_encoder.patch_merge_list.{k}.norm", factor**2 * b)
        layer(f"initial_encoder.patch_merge_list.{k}.reduction", b, factor**2 * b, bias=False)
    if vectors:
        names["init_global_vectors"] = (2, 16)
        layer("encoder.down_layer_global_proj.0", 32, 16)
    for which, d, sizes in (("enc", 16, fine), ("dec", 32, (t_out, 2, 2))):
        names |= {f"{which}_pos_embed.{axis}_embed.weight": (size, d) for axis, size in zip("THW", sizes, strict=True)}
    block("encoder.blocks.0.0", 16, fine, vectors)
    block("encoder.blocks.1.0", 32, coarse, vectors)
    block("decoder.self_blocks.0.0", 16, fine, False)
    layer("encoder.down_layers.0.norm", 64)
    layer("encoder.down_layers.0.reduction", 32, 64, bias=False)
    layer("z_proj", 32, 32)
    for k, d in ((0, 16), (1, 32)):
        own = f"decoder.cross_blocks.{k}.0.attn_l.0"
        names[f"{own}.relative_position_bias_table"] = (2 * (t_in + t_out) - 1, 4)
        layer(f"{own}.q_proj", d, d, bias=False)
        layer(f"{own}.kv_proj", 2 * d, d, bias=False)
        layer(f"{own}.proj", d, d)
        layer(f"{own}.norm", d)
        feed(f"decoder.cross_blocks.{k}.0.ffn_l.0", d)
    layer("decoder.upsample_layers.0.conv", 16, 32, 3, 3)
    for k, (a, b) in enumerate(((16, 16), (16, 8))):
        layer(f"final_decoder.upsample_list.{k}.conv", a, a, 3, 3)
        convolutions(f"final_decoder.conv_block_list.{k}", a, b)
    layer("dec_final_proj", 1, 8)
    return names


def checkpoint(names: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(shape) if shape else torch.tensor(3) for name, shape in names.items()}


def network_for(which: str) -> tuple[nn.Module, dict[str, Tensor], str]:
    if which.startswith("earthformer"):
        separate = which == "earthformer-separate"
        vectors = 0 if which == "earthformer-plain" else 2
        network: nn.Module = Earthformer(3, 2, (20, 24), (8, 16), (3, 2), vectors, separate)
        return network, checkpoint(earthformer_names(vectors > 0, separate, 3, 2)), "earthformer"
    return SimVP(3, which, 8, 16, 3), checkpoint(simvp_names(which, 3, 8, 16, 3)), "openstl-simvp"


@pytest.mark.parametrize("which", ["gsta", "tau", "incepu", "earthformer", "earthformer-separate",
                                   "earthformer-plain"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_tensor_finds_its_place(tmp_path: Path, which: str, wrapped: bool) -> None:
    network, tensors, source = network_for(which)
    file = tmp_path / "checkpoint.pth"
    saved: Any = {"state_dict": {f"model.{k}": v for k, v in tensors.items()}, "epoch": 3} if wrapped else tensors
    torch.save(saved, file)
    import_into(network, read_checkpoint(file), source)
    own = [float(v.double().sum()) for v in network.state_dict().values()]
    theirs = [float(v.double().sum()) for k, v in tensors.items() if "relative_position_index" not in k]
    assert sorted(own) == pytest.approx(sorted(theirs))


def test_named_tensors_lie_where_they_should() -> None:
    network, tensors, source = network_for("tau")
    import_into(network, tensors, source)
    state = network.state_dict()
    for ours, theirs in (("enter.conv.weight", "enc.enc.0.conv.conv.weight"),
                         ("down.0.conv.weight", "enc.enc.1.conv.conv.weight"),
                         ("up.2.conv.weight", "dec.dec.2.conv.conv.0.weight"),
                         ("leave.norm.bias", "dec.dec.3.conv.norm.bias"),
                         ("translator.1.second_scale", "hid.enc.1.block.layer_scale_2"),
                         ("translator.0.attention.gate.far.weight",
                          "hid.enc.0.block.attn.spatial_gating_unit.conv_spatial.weight")):
        assert torch.equal(state[ours], tensors[theirs])


def test_another_architecture_is_refused_and_changes_nothing() -> None:
    network, tensors, source = network_for("tau")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for wrong in (network_for("gsta")[1], {**tensors, "dec.readout.weight": torch.zeros(2, 8, 1, 1)},
                  {key: value for key, value in tensors.items() if key != "dec.readout.bias"}):
        with pytest.raises(UnreadableInput):
            import_into(network, wrong, source)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with pytest.raises(WrongUsage, match="openstl"):
        import_into(network, tensors, "elsewhere")


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("harm.txt").touch, ())


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps({"a": Harmful()})])
def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "checkpoint.pth"
    file.write_bytes(content)
    with pytest.raises(UnreadableInput):
        read_checkpoint(file)
    torch.save({"a": Harmful()}, file)
    with pytest.raises(UnreadableInput):
        read_checkpoint(file)
    assert not (tmp_path / "harm.txt").exists()


def test_a_file_without_tensors(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(UnreadableInput, match="no tensors"):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(UnreadableInput):
        read_checkpoint(tmp_path / "missing.pth")
