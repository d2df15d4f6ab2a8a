//! lockrig

pub mod driver;
pub mod event;
pub mod image;
pub mod port;
