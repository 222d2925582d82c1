"""Logs people in and issues tokens: what of the capability needs a database. Imported only where there is one."""
