"""Files of weights and where they are: Hugging Face's folders, safetensors, GGUF, torch's."""
