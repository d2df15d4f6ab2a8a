//! The lock through the door that firmware and rig use: inputs and time in, a log of everything visible out.

mod board;
mod products;

mod bolt;
mod change;
mod cut;
mod entry;
mod enumeration;
mod lockout;
mod opening;
mod page;
mod power;
mod programming;
mod record;
mod reset;
mod rules;
mod signal;
