"""Files that are whole or absent, locks, archives, downloads, timings."""
