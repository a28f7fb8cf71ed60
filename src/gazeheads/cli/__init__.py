"""The terminal: parse, call, print; an edge that nothing else imports."""
