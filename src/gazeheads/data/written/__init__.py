"""Comics written by a chat model and painted by an image model."""
