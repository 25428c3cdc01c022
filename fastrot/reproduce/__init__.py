"""The paper's tables and figures: plans of runs, measurements, and output pages."""
