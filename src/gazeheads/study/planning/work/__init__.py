"""What the commands of the experiments will do, told before they do it."""
