"""A model as static files that run in a browser: two ONNX graphs, a tokenizer, a description."""
