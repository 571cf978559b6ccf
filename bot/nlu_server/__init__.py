"""The bundled Rasa server: what it learns from, its models, its training, its process and its keeper."""
