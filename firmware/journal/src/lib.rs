//! One record that survives power loss at any point.
#![no_std]
