"""How a certificate arrives: one strict decoder per dialect, and who may speak it."""
