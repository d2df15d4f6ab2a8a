//! What feeds the board: a programmable supply, or relays in the lead of cells.

use std::collections::BTreeMap;

use super::super::text::{SupplyDriver, SupplyText};
use super::super::{Contact, Programmable, Supply, SupplyKind, Wired};
use super::Check;
use crate::driver::pin_board::Way;
use crate::source::{Problem, Span};

impl Check<'_, '_> {
    pub(super) fn supply(&mut self) -> Option<Supply> {
        let text = self.text.supply.as_ref()?;
        match text.driver.value {
            SupplyDriver::Scpi => self.programmable(text),
            SupplyDriver::Relay => self.cells(text),
        }
    }

    fn programmable(&mut self, text: &SupplyText) -> Option<Supply> {
        let of_cells = [
            ("voltage", text.voltage.as_ref().map(|given| given.span)),
            ("channel", text.channel.as_ref().map(|given| given.span)),
            ("crowbar", text.crowbar.as_ref().map(|given| given.span)),
        ];
        self.supply_has_no(&of_cells, "a programmable supply", "a relay in a lead");
        let missing = [
            ("port", text.port.is_none(), "port = \"supply\""),
            ("highest", text.highest.is_none(), "highest = \"10 V\""),
            ("limit", text.limit.is_none(), "limit = \"800 mA\""),
        ];
        self.supply_needs(text, "a programmable supply", &missing);
        let highest = *text.highest.as_ref()?;
        if let Some(rest) = text.rest
            && *rest > *highest
        {
            let message = format!(
                "the supply rests at {}, and the board bears {}",
                *rest, *highest
            );
            self.add(
                Problem::new(rest.span, message)
                    .hint("leave 'rest' out: then the output is off at rest"),
            );
        }
        if highest.value.0 == 0 {
            self.add(
                Problem::new(highest.span, "a supply of at most 0 V feeds nothing")
                    .hint("write the greatest voltage that the board bears"),
            );
        }
        if let Some(limit) = text.limit.as_ref().filter(|limit| limit.value.0 == 0) {
            self.add(
                Problem::new(limit.span, "a supply that is limited to 0 mA feeds nothing").hint(
                    "write somewhat more than the bolt's drive draws, such as limit = \"800 mA\"",
                ),
            );
        }
        let port = self.bytes(text.port.as_ref()?)?;
        Some(Supply {
            kind: SupplyKind::Programmable(Programmable {
                port,
                identity: text.identity.as_ref().map(|given| given.value.clone()),
                limit: text.limit.as_ref()?.value,
                resistance: text.resistance.map(|given| *given),
                rest: text.rest.map(|rest| *rest),
                longest_on: text.longest_on,
            }),
            highest: *highest,
        })
    }

    /// Cells; their relays are among the contacts.
    fn cells(&mut self, text: &SupplyText) -> Option<Supply> {
        let of_scpi = [
            ("port", text.port.as_ref().map(|given| given.span)),
            ("identity", text.identity.as_ref().map(|given| given.span)),
            ("highest", text.highest.as_ref().map(|given| given.span)),
            ("limit", text.limit.as_ref().map(|given| given.span)),
            (
                "resistance",
                text.resistance.as_ref().map(|given| given.span),
            ),
            ("rest", text.rest.as_ref().map(|given| given.span)),
        ];
        self.supply_has_no(&of_scpi, "a relay in a lead", "a programmable supply");
        let missing = [
            ("voltage", text.voltage.is_none(), "voltage = \"9 V\""),
            ("channel", text.channel.is_none(), "channel = 15"),
        ];
        self.supply_needs(text, "a relay in the lead of cells", &missing);
        let voltage = *text.voltage.as_ref()?;
        if voltage.value.0 == 0 {
            let problem = Problem::new(voltage.span, "cells of 0 V feed nothing");
            self.add(problem.hint("write the voltage that a meter shows with the board connected"));
        }
        Some(Supply {
            kind: SupplyKind::Cells,
            highest: *voltage,
        })
    }

    fn supply_has_no(&mut self, given: &[(&str, Option<Span>)], kind: &str, other: &str) {
        for (key, span) in given {
            if let Some(span) = span {
                let problem = Problem::new(*span, format!("{kind} has no '{key}'"));
                self.add(problem.hint(format!("leave it out: {other} has one")));
            }
        }
    }

    fn supply_needs(&mut self, text: &SupplyText, kind: &str, needs: &[(&str, bool, &str)]) {
        for (key, is_missing, example) in needs {
            if *is_missing {
                let problem = Problem::new(text.driver.span, format!("{kind} needs '{key}'"));
                self.add(problem.hint(format!("write {example}, as it is on your bench")));
            }
        }
    }

    /// The relays of cells are contacts like others.
    pub(super) fn relays_of_supply(&mut self, contacts: &mut BTreeMap<Contact, Wired>) {
        let Some(supply) = self.text.supply.as_ref() else {
            return;
        };
        if supply.driver.value != SupplyDriver::Relay {
            return;
        }
        let relays = [
            (Contact::Lead, &supply.channel, supply.longest_on),
            (Contact::Crowbar, &supply.crowbar, None),
        ];
        for (contact, channel, longest_on) in relays {
            let Some(channel) = channel else { continue };
            if !matches!(channel.0, Way::One(_)) {
                let problem =
                    Problem::new(channel.span, format!("'{contact}' has a row and a column"));
                self.add(problem.hint("what carries the board's current has a relay of its own"));
                continue;
            }
            let wired = Wired {
                way: channel.0,
                line: None,
                rest_closed: false,
                longest_on,
                latency: None,
            };
            self.contact(contacts, contact, channel, wired);
        }
    }
}
