//! lockrig
