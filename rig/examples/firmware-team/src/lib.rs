//! Here the firmware would be. Its tests on a bench are in `tests/lock.rs`.
