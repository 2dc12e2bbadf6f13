"""Encoders in formats that others read: ONNX, a torch program, a folder of safetensors."""
