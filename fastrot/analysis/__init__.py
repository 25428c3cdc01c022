"""What a network's first layer looks for and looks at."""
