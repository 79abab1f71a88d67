"""`python -m relaxit_vae` is `relaxit-vae`."""

from relaxit_vae.cli import app

if __name__ == "__main__":
    app(prog_name="relaxit-vae")
