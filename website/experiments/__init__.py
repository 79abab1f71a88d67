"""The experiments behind the results of the site, and the program that repeats them."""
