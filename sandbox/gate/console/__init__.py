"""Pages for browsers: read-only, without scripts; MLflow's own through a narrow gap."""
