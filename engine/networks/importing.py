"""Published PyTorch checkpoints of the same architectures, their tensors renamed to ours.

Checkpoints are opened with ``weights_only=True``: nothing in them is executed. Sources of the names: OpenSTL
(SimVP with its gSTA and IncepU translators, TAU) and the Earthformer project (SEVIR network). OpenSTL's PredRNN and
MIM (5 x 5 without bias, on 4 x 4 patches) are other networks than those of the papers here and are not taken.
"""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import UnreadableInput, WrongUsage

Rules = tuple[tuple[str, str], ...]
_WRAPPERS = ("model.", "module.", "torch_nn_module.")
_HOLDERS = ("state_dict", "model", "model_state_dict")

_SIMVP: Rules = (
    (r"enc\.enc\.0\.conv\.(conv|norm)", r"enter.\1"),
    (r"enc\.enc\.([123])\.conv\.(conv|norm)", r"down.{minus:\1}.\2"),
    (r"dec\.dec\.3\.conv\.(conv|norm)", r"leave.\1"),
    (r"dec\.dec\.([012])\.conv\.conv(?:\.0)?", r"up.\1.conv"),
    (r"dec\.dec\.([012])\.conv\.norm", r"up.\1.norm"),
    (r"dec\.readout", "head"),
    (r"hid\.enc\.(\d+)\.block\.norm1", r"translator.\1.first_norm"),
    (r"hid\.enc\.(\d+)\.block\.norm2", r"translator.\1.second_norm"),
    (r"hid\.enc\.(\d+)\.block\.layer_scale_1", r"translator.\1.first_scale"),
    (r"hid\.enc\.(\d+)\.block\.layer_scale_2", r"translator.\1.second_scale"),
    (r"hid\.enc\.(\d+)\.block\.attn\.proj_1", r"translator.\1.attention.enter"),
    (r"hid\.enc\.(\d+)\.block\.attn\.proj_2", r"translator.\1.attention.leave"),
    (r"hid\.enc\.(\d+)\.block\.attn\.spatial_gating_unit\.conv0", r"translator.\1.attention.gate.near"),
    (r"hid\.enc\.(\d+)\.block\.attn\.spatial_gating_unit\.conv_spatial", r"translator.\1.attention.gate.far"),
    (r"hid\.enc\.(\d+)\.block\.attn\.spatial_gating_unit\.conv1", r"translator.\1.attention.gate.mix"),
    (r"hid\.enc\.(\d+)\.block\.attn\.spatial_gating_unit\.fc", r"translator.\1.attention.gate.squeeze"),
    (r"hid\.enc\.(\d+)\.block\.mlp\.fc1", r"translator.\1.feed.enter"),
    (r"hid\.enc\.(\d+)\.block\.mlp\.dwconv\.dwconv", r"translator.\1.feed.depthwise"),
    (r"hid\.enc\.(\d+)\.block\.mlp\.fc2", r"translator.\1.feed.leave"),
    (r"hid\.enc\.(\d+)\.reduction", r"translator.\1.fit"),
    (r"hid\.enc\.(\d+)\.conv1", r"translator.down.\1.enter"),
    (r"hid\.dec\.(\d+)\.conv1", r"translator.up.\1.enter"),
    (r"hid\.enc\.(\d+)\.layers\.(\d)\.conv", r"translator.down.\1.branches.\2.0"),
    (r"hid\.enc\.(\d+)\.layers\.(\d)\.norm", r"translator.down.\1.branches.\2.1"),
    (r"hid\.dec\.(\d+)\.layers\.(\d)\.conv", r"translator.up.\1.branches.\2.0"),
    (r"hid\.dec\.(\d+)\.layers\.(\d)\.norm", r"translator.up.\1.branches.\2.1"),
)


def _earthformer_block(theirs: str, ours: str) -> Rules:
    """One block of axial attention."""
    attention, new = rf"{theirs}\.attn_l\.(\d)\.", rf"{ours}.attentions.\1."
    names = {"qkv": "qkv", "norm": "norm", "proj": "leave", "relative_position_bias_table": "bias",
             "global_vec_norm": "vector_norm", "global_proj": "vector_leave", "global_qkv": "across.vectors",
             "l2g_q_net": "across.local_query", "l2g_global_kv_net": "across.vector_key_value",
             "g2l_global_q_net": "across.vector_query", "g2l_k_net": "across.local_key",
             "g2l_v_net": "across.local_value", "g2g_global_qkv_net": "across.among"}
    feeds = {"layer_norm": "norm", "ffn_1": "enter", "ffn_2": "leave"}
    return (*((attention + old, new + name) for old, name in names.items()),
            *((rf"{theirs}\.ffn_l\.(\d)\.{old}", rf"{ours}.feeds.\1.{name}") for old, name in feeds.items()))


def _earthformer_cross(theirs: str, ours: str) -> Rules:
    names = {"attn_l.0.relative_position_bias_table": "bias", "attn_l.0.q_proj": "query",
             "attn_l.0.kv_proj": "key_value", "attn_l.0.proj": "leave", "attn_l.0.norm": "norm",
             "ffn_l.0.layer_norm": "feed.norm", "ffn_l.0.ffn_1": "feed.enter", "ffn_l.0.ffn_2": "feed.leave"}
    return tuple((rf"{theirs}\.{re.escape(old)}", f"{ours}.{name}") for old, name in names.items())


_EARTHFORMER: Rules = (
    (r"initial_encoder\.conv_block_list\.(\d)\.(\d)", r"enter.\1.convolutions.layers.\2"),
    (r"initial_encoder\.patch_merge_list\.(\d)\.norm", r"enter.\1.merge.norm"),
    (r"initial_encoder\.patch_merge_list\.(\d)\.reduction", r"enter.\1.merge.reduce"),
    ("init_global_vectors", "vectors"),
    (r"enc_pos_embed\.T_embed\.weight", "place.time"), (r"enc_pos_embed\.H_embed\.weight", "place.rows"),
    (r"enc_pos_embed\.W_embed\.weight", "place.columns"),
    (r"dec_pos_embed\.T_embed\.weight", "forecast_place.time"),
    (r"dec_pos_embed\.H_embed\.weight", "forecast_place.rows"),
    (r"dec_pos_embed\.W_embed\.weight", "forecast_place.columns"),
    *_earthformer_block(r"encoder\.blocks\.0\.0", "fine"), *_earthformer_block(r"encoder\.blocks\.1\.0", "coarse"),
    *_earthformer_block(r"decoder\.self_blocks\.0\.0", "refine"),
    *_earthformer_cross(r"decoder\.cross_blocks\.0\.0", "ask_fine"),
    *_earthformer_cross(r"decoder\.cross_blocks\.1\.0", "ask_coarse"),
    (r"encoder\.down_layers\.0\.norm", "merge.norm"), (r"encoder\.down_layers\.0\.reduction", "merge.reduce"),
    (r"encoder\.down_layer_global_proj\.0", "merge_vectors"),
    ("z_proj", "begin"), (r"decoder\.upsample_layers\.0\.conv", "grow.layers.1"),
    (r"final_decoder\.upsample_list\.(\d)\.conv", r"leave.\1.0.layers.1"),
    (r"final_decoder\.conv_block_list\.(\d)\.(\d)", r"leave.\1.1.layers.\2"),
    ("dec_final_proj", "head"),
)

SOURCES: dict[str, Rules] = {"openstl-simvp": _SIMVP, "earthformer": _EARTHFORMER}
"""What a checkpoint may be, by the name under which it is imported."""
_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)
"""What torch raises for files that are damaged or would have to execute something."""
_IGNORED = re.compile(r"relative_position_index$")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint under their own names, without the names of what wraps the network.

    Raises UnreadableInput for anything but a PyTorch file of plain tensors.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are then refused anyway
            raw: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as problem:
        raise UnreadableInput(path, problem.strerror or str(problem), tried="checkpoint") from problem
    except _DAMAGED as problem:
        raise UnreadableInput(path, "no PyTorch file of plain tensors", tried="checkpoint",
                              advice="Files that need code to be loaded are refused.") from problem
    for holder in _HOLDERS:
        if isinstance(raw, dict) and isinstance(raw.get(holder), dict):
            raw = raw[holder]
    tensors = {str(key): value for key, value in raw.items() if isinstance(value, Tensor)} if isinstance(
        raw, dict) else {}
    if not tensors:
        raise UnreadableInput(path, "there are no tensors in it", tried="checkpoint")
    return {_unwrapped(key): value for key, value in tensors.items()}


def import_into(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Fills the network. Raises WrongUsage for an unknown source, UnreadableInput that names the first tensors which
    are missing, left over or of another shape; then the network is as it was."""
    if source not in SOURCES:
        raise WrongUsage(f"There is no source of checkpoints called '{source}'. Known: {', '.join(SOURCES)}.")
    own = network.state_dict()
    given = {renamed(key, SOURCES[source]): value for key, value in tensors.items() if not _IGNORED.search(key)}
    missing, extra = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if missing or extra:
        raise UnreadableInput(source, f"another architecture (missing {missing[:3]}, unknown {extra[:3]})",
                              tried="checkpoint")
    for key, value in given.items():
        if value.shape != own[key].shape:
            raise UnreadableInput(source, f"'{key}' is {tuple(value.shape)}, the network needs "
                                          f"{tuple(own[key].shape)}", tried="checkpoint")
    network.load_state_dict(given)


def renamed(key: str, rules: Rules) -> str:
    """Our name of a tensor; the name itself where no rule knows it."""
    for theirs, ours in rules:
        found = re.match(rf"{theirs}(?=\.|$)", key)
        if found:
            return _filled(found, ours) + key[found.end():]
    return key


def _filled(found: re.Match[str], pattern: str) -> str:
    """Groups put in; ``{minus:\\1}`` is a group less one."""
    return re.sub(r"\{minus:(\d+)\}", lambda number: str(int(number.group(1)) - 1), found.expand(pattern))


def _unwrapped(key: str) -> str:
    wrapper = next((word for word in _WRAPPERS if key.startswith(word)), "")
    return _unwrapped(key[len(wrapper):]) if wrapper else key
