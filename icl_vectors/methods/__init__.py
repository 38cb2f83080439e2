"""Ways to find a task in a model and to inject it into another prompt, each a small module.

A method is a few functions that run inside one nnsight session, here or on a server: what it reads
in the trace, how it makes its vectors from that, and how it injects them. Prompts, scoring, store
and report know nothing of it. The functions hold nothing but tensors, plain Python and nnsight's
calls, and travel by value.
"""
