//! Contacts that pins close: on the virtual bench, on an emulated Raspberry Pi, and behind the Linux GPIO
//! character device.
//!
//! What needs an emulated computer is ignored here: `.ci/pins` brings what that needs (QEMU, kernels, the
//! static program) and calls it.

mod virtual_bench;

#[cfg(target_os = "linux")]
mod guest;
#[cfg(target_os = "linux")]
mod raspberry_pi;
