"""Checks of the site: its guides run, and its pages are opened in a browser."""
