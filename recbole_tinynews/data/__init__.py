"""Atomic files, news texts and impressions."""
