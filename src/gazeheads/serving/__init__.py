"""The gaze server: an OpenAI-compatible endpoint whose requests say where the heads look."""
