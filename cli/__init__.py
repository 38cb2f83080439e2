"""The command line: options in, tables out; knows no tensor."""
