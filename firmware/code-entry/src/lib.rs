//! The code-entry parser and the state machine of a lock.
#![no_std]
