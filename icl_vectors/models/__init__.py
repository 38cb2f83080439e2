"""Opening a model: what it is, whether it fits, and how it takes prompts."""
