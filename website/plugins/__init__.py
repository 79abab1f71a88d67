"""What `mkdocs` runs while it builds the site: `mkdocs.yml` names each module."""
