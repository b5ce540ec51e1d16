"""Parts for hudd."""
