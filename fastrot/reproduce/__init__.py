"""The paper's tables and figures, each as a plan of runs, their measurements and a page."""
