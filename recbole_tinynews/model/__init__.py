"""RecBole models."""
