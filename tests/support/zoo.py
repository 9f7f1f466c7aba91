"""A tiny model of every type that has a question-answering head, with a tokenizer of its kind."""

import json
from dataclasses import asdict, replace

import torch
from safetensors.torch import save_file
from transformers import AutoModelForQuestionAnswering
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES

from qa.modeling.settings import DEFAULT_SETTINGS, SETTINGS_FILE
from tests.support import tiny

_FAMILIES = {
    "xlnet": "xlnet",
    "t5": "deberta-v2",
    "mt5": "deberta-v2",
    "umt5": "deberta-v2",
    "deberta-v2": "deberta-v2",
}
TYPES = tuple(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES)
CAUSAL = (
    *("arcee", "bloom", "diffllama", "exaone4", "falcon", "gpt2", "gpt_neo", "gpt_neox", "gptj", "llama", "minimax"),
    *("ministral", "ministral3", "mistral", "mixtral", "mpt", "nemotron", "opt", "qwen2", "qwen2_moe", "qwen3"),
    *("qwen3_moe", "qwen3_next", "seed_oss", "smollm3"),
)
"""Their tokens see what is before them."""
REFUSED = {
    "canine": "has no table of tokens",
    "fnet": "takes no attention mask",
    "layoutlmv2": "detectron2",
    "layoutlmv3": "reads bbox, pixel_values besides text",
    "lilt": "reads bbox besides text",
    "lxmert": "reads visual_feats besides text",
    "markuplm": "reads xpath_tags_seq besides text",
    "mra": "the context does not see the question",  # on a CPU: its attention is a kernel of GPUs
    "reformer": "has other logits for the same window",
    "roc_bert": "reads input_shape_ids besides text",
}
"""What messages say about the types that are not taken; all others are."""
EXPORTED = ("bert", "distilbert", "electra", "gpt2", "llama")
NOT_EXPORTED = {
    "big_bird": "block-sparse attention beyond 28 tokens",
    "bigbird_pegasus": "block-sparse attention beyond 28 tokens",
    "funnel": "does not become an ONNX file",
    "led": "does not become an ONNX file",
    "longformer": "does not become an ONNX file",
}
"""Types that become ONNX files, and what messages say about some that do not."""
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "embedding_size": 16,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 130,
    "decoder_layers": 1,
    "encoder_layers": 1,
    "decoder_ffn_dim": 16,
    "encoder_ffn_dim": 16,
    "decoder_attention_heads": 2,
    "encoder_attention_heads": 2,
    "num_experts": 2,
    "num_local_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
    "d_ff": 16,
    "d_kv": 8,
    "num_layers": 1,
    "num_heads": 2,
    "initializer_range": 0.3,
    "init_std": 0.3,
}
_SHIFTED = ("roberta", "camembert", "xlm-roberta", "xlm-roberta-xl", "mpnet", "ibert", "xmod", "data2vec-text")
"""Their positions begin after the padding's."""
OWN = {
    "big_bird": {"block_size": 4, "num_random_blocks": 1},
    "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1},
    "falcon": {"head_dim": None},
    "funnel": {
        "num_hidden_layers": None,
        "block_sizes": [1, 1],
        "num_decoder_layers": 1,
        "d_model": 16,
        "n_head": 2,
        "d_head": 8,
        "d_inner": 16,
    },
    "gpt_neo": {"attention_types": [[["global"], 1]]},
    "gptj": {"rotary_dim": 4},
    "longformer": {"attention_window": [8]},
    "led": {"attention_window": [8], "max_encoder_position_embeddings": 136, "max_decoder_position_embeddings": 136},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 8},
    "qwen3_next": {
        "num_hidden_layers": 2,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 4,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_value_head_dim": 4,
    },
    "reformer": {
        "attn_layers": ["local", "lsh"],
        "num_hidden_layers": None,
        "axial_pos_embds": False,
        "attention_head_size": 8,
        "lsh_attn_chunk_length": 8,
        "local_attn_chunk_length": 8,
        "feed_forward_size": 16,
        "num_buckets": 4,
    },
    "t5": {"decoder_start_token_id": 0},
    "xlnet": {
        "max_position_embeddings": None,
        "num_hidden_layers": None,
        "d_model": 16,
        "n_layer": 1,
        "n_head": 2,
        "d_inner": 16,
    },
    **{kind: {"max_position_embeddings": 132, "type_vocab_size": 1} for kind in _SHIFTED},
}
"""What a type needs besides; None: what it does not take."""


def config(kind, tokenizer, **more):
    made = CONFIG_MAPPING[kind]()
    ids = {
        name: getattr(tokenizer, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    }
    own = OWN.get(kind, {}) | more
    values = {name: value for name, value in SIZES.items() if name not in own and hasattr(made, name)}
    values |= {"vocab_size": len(tokenizer)} | {name: value for name, value in own.items() if value is not None}
    return CONFIG_MAPPING[kind](**values, **ids)


def tokenizer(kind):
    """One of the kind that the published readers of the type have."""
    family = _FAMILIES.get(kind) or ("roberta" if kind in _SHIFTED or kind in CAUSAL else "bert")
    return tiny.tokenizer(family)


def model(kind, **more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForQuestionAnswering.from_config(config(kind, tokenizer(kind), **more))


def save(folder, kind, *, windows=None, **more):
    """Save a reader of the type, whose settings ask for windows of so many tokens.

    One of a type that needs more libraries has weights that do not matter.
    """
    tokenizer(kind).save_pretrained(folder)
    try:
        model(kind, **more).save_pretrained(folder)
    except ImportError:
        config(kind, tokenizer(kind), **more).save_pretrained(folder)
        save_file({"none": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    if windows is not None:
        own = replace(DEFAULT_SETTINGS, max_length=windows, doc_stride=16, max_question_length=16)
        (folder / SETTINGS_FILE).write_text(json.dumps(asdict(own)))
    return folder
