"""The paper's table and figures on any data, in one command each."""
