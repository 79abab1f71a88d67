"""All pictures of the site, drawn from the code when it is built."""
