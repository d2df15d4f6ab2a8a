//! The strip of a flow.

use super::Explored;

pub fn svg(_flows: &[&Explored]) -> String {
    String::new()
}
pub fn html(_flows: &[&Explored]) -> String {
    String::new()
}
