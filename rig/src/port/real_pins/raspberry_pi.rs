//! The header of a Raspberry Pi, through rppal: outputs and levels through the chip's registers (BCM2835
//! to BCM2712 with RP1), edges through the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use rppal::gpio::{Error, Gpio, InputPin, OutputPin, Trigger};

use super::super::{Input, Level, PULSES_EVERY, PortProblem, Signal};
use super::{Edges, HEADER_MAX, Pins, Refused};
use crate::event::Nanos;

/// The header of this computer.
pub struct RaspberryPi {
    gpio: Gpio,
    outputs: BTreeMap<u16, OutputPin>,
    /// Outputs for which rppal has a thread that makes pulses.
    pulsed: BTreeSet<u16>,
    inputs: BTreeMap<u16, InputPin>,
}

impl RaspberryPi {
    /// Opens it.
    pub fn open() -> Result<RaspberryPi, Refused> {
        Ok(RaspberryPi {
            gpio: Gpio::new().map_err(refused)?,
            outputs: BTreeMap::new(),
            pulsed: BTreeSet::new(),
            inputs: BTreeMap::new(),
        })
    }

    fn pin(&self, pin: u16) -> Result<rppal::gpio::Pin, Refused> {
        let number = u8::try_from(pin).ok().filter(|_| pin <= HEADER_MAX);
        let Some(number) = number else {
            return Err(Refused {
                problem: PortProblem::Absent,
                saw: format!("the header has GPIO 0 to {HEADER_MAX}"),
            });
        };
        self.gpio.get(number).map_err(refused)
    }
}

impl Pins for RaspberryPi {
    fn output(&mut self, pin: u16, level: Level) -> Result<(), Refused> {
        let opened = self.pin(pin)?;
        let mut output = match level {
            Level::Low => opened.into_output_low(),
            Level::High => opened.into_output_high(),
        };
        // It stays an output: as an input it would float, and what hangs at it with it.
        output.set_reset_on_drop(false);
        self.outputs.insert(pin, output);
        Ok(())
    }

    fn input(&mut self, pin: u16, input: &Input, edges: Option<Edges>) -> Result<(), Refused> {
        let opened = self.pin(pin)?;
        let mut sensed = match input.pull {
            None => opened.into_input(),
            Some(Level::High) => opened.into_input_pullup(),
            Some(Level::Low) => opened.into_input_pulldown(),
        };
        if let Some(edges) = edges {
            let debounce = input.debounce.map(|time| Duration::from_nanos(time.0));
            let mut expected = None;
            let told = move |event: rppal::gpio::Event| {
                if expected.is_some_and(|number| number != event.seqno) {
                    edges.lost(
                        "the kernel dropped edges: they came faster than they were taken"
                            .to_owned(),
                    );
                }
                expected = Some(event.seqno.wrapping_add(1));
                let level = match event.trigger {
                    Trigger::FallingEdge => Level::Low,
                    _ => Level::High,
                };
                edges.edge(event.timestamp, level);
            };
            sensed
                .set_async_interrupt(Trigger::Both, debounce, told)
                .map_err(refused)?;
        }
        self.inputs.insert(pin, sensed);
        Ok(())
    }

    fn drive(&mut self, pin: u16, signal: Signal) -> Result<(), String> {
        let output = self.outputs.get_mut(&pin).ok_or("it is no output")?;
        let mut pulse = |width: Nanos| {
            let (every, width) = (PULSES_EVERY.0, width.0);
            output.set_pwm(Duration::from_nanos(every), Duration::from_nanos(width))
        };
        let driven = match signal {
            Signal::Pulses { width, .. } => {
                self.pulsed.insert(pin);
                pulse(width)
            }
            // `clear_pwm` would wait for the next pulse, and all other pins with it.
            Signal::Level(Level::Low) if self.pulsed.contains(&pin) => pulse(Nanos::ZERO),
            Signal::Level(level) => {
                output.write(match level {
                    Level::Low => rppal::gpio::Level::Low,
                    Level::High => rppal::gpio::Level::High,
                });
                Ok(())
            }
        };
        driven.map_err(|why| why.to_string())
    }

    fn level(&mut self, pin: u16) -> Result<Level, String> {
        let input = self.inputs.get(&pin).ok_or("it is no input")?;
        Ok(match input.read() {
            rppal::gpio::Level::Low => Level::Low,
            rppal::gpio::Level::High => Level::High,
        })
    }
}

fn refused(error: Error) -> Refused {
    let (problem, saw) = match error {
        Error::UnknownModel => (
            PortProblem::Absent,
            "this is no Raspberry Pi that is known; pins of other computers are at \
             \"/dev/gpiochip0\" or \"gpiochip:LABEL\""
                .to_owned(),
        ),
        Error::PinUsed(_) => (PortProblem::Busy, "it is opened twice".to_owned()),
        Error::PinNotAvailable(_) => (
            PortProblem::Absent,
            "this model has no such GPIO".to_owned(),
        ),
        Error::PermissionDenied(path) => (PortProblem::Denied, format!("no permission for {path}")),
        Error::Io(why) => {
            let problem = match why.kind() {
                io::ErrorKind::ResourceBusy => PortProblem::Busy,
                io::ErrorKind::PermissionDenied => PortProblem::Denied,
                _ => PortProblem::Absent,
            };
            (problem, why.to_string())
        }
        Error::ThreadPanic => (PortProblem::Lost, "its thread has ended".to_owned()),
    };
    Refused { problem, saw }
}
