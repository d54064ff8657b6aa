"""The sample world: a small company, its certificates, and servers on loopback to try everything."""
