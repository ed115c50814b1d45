"""Many scenes, many machines: run, executors, cluster, merge, overlap."""
