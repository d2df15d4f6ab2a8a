//! What a lock does, as its manual says it.
