"""From a declaration to tables on disk: jobs, the runner that makes them, and the tables they leave."""
