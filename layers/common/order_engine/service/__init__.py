"""One use case a module, and the ports they need. Imports the domain only."""
