"""The experiments: what is run and measured; knows no printing, plotting or argv."""
