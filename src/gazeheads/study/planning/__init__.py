"""What experiments will take before any is run: prompts, tokens, FLOPs, hours and memory."""
