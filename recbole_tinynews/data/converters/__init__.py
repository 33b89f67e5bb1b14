"""From impression logs and corpora to a dataset's atomic files; nothing here imports torch or RecBole."""
