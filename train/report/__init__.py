"""A run's folder as figures and as one HTML page."""
