"""What `fastrot doctor` looks at: probes find plain facts, checks judge them.

Nothing here changes the machine. Each probe answers also where what it looks for is absent.
"""
