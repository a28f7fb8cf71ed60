"""comic-tiny: the small vision-language model that ships with gazeheads, and its training."""
