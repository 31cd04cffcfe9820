"""What MLflow is told, and whether it still says so. MLflow is a view: truth is the signed statements.

``tags`` turns a grant into ``gov.*`` facts, ``view`` writes them (runs, metrics, models), ``survey`` reads all that
MLflow shows and writes back what was signed, ``reconcile`` names every difference, ``ui`` starts MLflow's own pages
with everything dangerous switched off. Only the gate writes; mlflow is loaded by ``client``, when first used.
"""
