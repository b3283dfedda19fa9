"""The composition root: Settings become processes, and each process is put together here and nowhere else."""
