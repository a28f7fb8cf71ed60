"""What the model does with attention under an intervention, and what is recorded of it."""
