"""The name that the installed transformers gives to the key-value cache: it changed in 5.24."""

from transformers.modeling_outputs import CausalLMOutputWithPast

CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"
