"""The pictures of the pages that README and docs show: `make screenshots`."""
