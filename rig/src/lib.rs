//! lockrig

pub mod image;
