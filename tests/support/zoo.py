"""A tiny model of every type that has a question-answering head, with a tokenizer of its kind."""

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES

TYPES = tuple(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES)
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
OWN = {}


def config(kind, tokenizer, **more):
    made = CONFIG_MAPPING[kind]()
    ids = {
        name: getattr(tokenizer, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    }
    values = SIZES | {"vocab_size": len(tokenizer)} | OWN.get(kind, {}) | more
    known = {name: value for name, value in values.items() if hasattr(made, name)}
    return CONFIG_MAPPING[kind](**known, **ids)
