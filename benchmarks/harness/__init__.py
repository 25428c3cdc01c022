"""How the benchmarks measure: rounds, limits, inputs, results and their pages."""
