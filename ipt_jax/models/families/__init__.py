"""The families of models: their configs and the names of their weights, after Hugging Face's."""
