"""Web pages over the API. The console knows what a client of the API knows and no more; every page works without JavaScript."""
