"""Make artifacts: jobs, the plan of what is missing, the processes that make it, how long it takes. No science here."""
