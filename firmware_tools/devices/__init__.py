"""Devices: whatever runs the model's C and speaks the protocol, as engines of `tfviz.trace`."""
