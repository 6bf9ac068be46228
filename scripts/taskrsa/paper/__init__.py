"""The paper's claims and published values."""
