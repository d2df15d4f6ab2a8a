//! Contacts that pins close: on the virtual bench, on an emulated Raspberry Pi, and behind the Linux GPIO
//! character device. And what else of Linux needs an emulated computer: USB ports that lose their power.
//!
//! What needs an emulated computer is ignored here: `.ci/pins` brings what that needs (QEMU, kernels, the
//! static program) and calls it.

mod virtual_bench;

#[cfg(target_os = "linux")]
mod character_device;
#[cfg(target_os = "linux")]
mod guest;
#[cfg(target_os = "linux")]
mod pi;
#[cfg(target_os = "linux")]
mod raspberry_pi;
#[cfg(target_os = "linux")]
mod servo;
#[cfg(target_os = "linux")]
mod trace;
#[cfg(target_os = "linux")]
mod usb;
#[cfg(target_os = "linux")]
mod wiring;
