"""How units are held against what trains and measures them again; `compare.verify` puts it together."""
