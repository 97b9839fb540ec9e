"""Jobs on other machines: a Ray cluster, or Slurm. What travels is a name and a digest; the worker finds the job."""
