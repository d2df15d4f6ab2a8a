//! Ports that lead to the virtual bench.
