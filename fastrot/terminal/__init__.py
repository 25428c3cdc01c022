"""What people see while something runs, and what becomes of it where the terminal is gone."""
