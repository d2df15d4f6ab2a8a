//! Programmable peripheral interconnect: nRF51 Series Reference Manual v3.0, section 16 "PPI".
//! Sixteen channels that firmware wires, twelve that the factory did (table in section 16.1.1),
//! and four groups. The one cycle that an event takes through a channel is not modelled.

use crate::time::Ticks;

use super::Block;
use super::events::Events;
use super::wires::Wires;

const CHEN: u32 = 0x500;
const CHENSET: u32 = 0x504;
const CHENCLR: u32 = 0x508;
const CH: u32 = 0x510;
const CH_END: u32 = 0x590;
const CHG: u32 = 0x800;
const CHG_END: u32 = 0x810;
const CHANNELS: u32 = 0xfff0_ffff;

/// Event and task of the fixed channels 20 to 31.
const FIXED: [(u32, u32); 12] = [
    (0x4000_8140, 0x4000_1000), // TIMER0 COMPARE[0] -> RADIO TXEN
    (0x4000_8140, 0x4000_1004), // TIMER0 COMPARE[0] -> RADIO RXEN
    (0x4000_8144, 0x4000_1010), // TIMER0 COMPARE[1] -> RADIO DISABLE
    (0x4000_1128, 0x4000_f000), // RADIO BCMATCH -> AAR START
    (0x4000_1100, 0x4000_f000), // RADIO READY -> CCM KSGEN
    (0x4000_1104, 0x4000_f004), // RADIO ADDRESS -> CCM CRYPT
    (0x4000_1104, 0x4000_8044), // RADIO ADDRESS -> TIMER0 CAPTURE[1]
    (0x4000_110c, 0x4000_8048), // RADIO END -> TIMER0 CAPTURE[2]
    (0x4000_b140, 0x4000_1000), // RTC0 COMPARE[0] -> RADIO TXEN
    (0x4000_b140, 0x4000_1004), // RTC0 COMPARE[0] -> RADIO RXEN
    (0x4000_b140, 0x4000_800c), // RTC0 COMPARE[0] -> TIMER0 CLEAR
    (0x4000_b140, 0x4000_8000), // RTC0 COMPARE[0] -> TIMER0 START
];

/// The interconnect.
#[derive(Clone, Debug, Hash)]
pub(super) struct Ppi {
    events: Events,
    enabled: u32,
    ends: [(u32, u32); 16],
    groups: [u32; 4],
    changed: bool,
}

impl Ppi {
    pub(super) fn new(id: u32) -> Ppi {
        Ppi {
            events: Events::new(id),
            enabled: 0,
            ends: [(0, 0); 16],
            groups: [0; 4],
            changed: true,
        }
    }

    fn ends(&self, channel: u32) -> (u32, u32) {
        match channel {
            0..16 => self.ends[channel as usize],
            _ => FIXED[channel as usize - 20],
        }
    }

    /// The channels that are enabled, one bit for each.
    pub(super) fn enabled(&self) -> u32 {
        self.enabled
    }

    /// The next task that an event triggers, over one of the channels in `left`; they are taken
    /// from it up to and with that one.
    pub(super) fn next_task(&self, event: u32, left: &mut u32) -> Option<u32> {
        while *left != 0 {
            let channel = left.trailing_zeros();
            *left &= *left - 1;
            let (from, to) = self.ends(channel);
            if from == event {
                return Some(to);
            }
        }
        None
    }

    /// The events of a peripheral that some channel listens to.
    pub(super) fn sources(&self, id: u32) -> u32 {
        let first = 0x4000_0100 | id << 12;
        let mut sources = 0;
        for channel in (0..32).filter(|channel| self.enabled & (1 << channel) != 0) {
            let (event, task) = self.ends(channel);
            if (first..first + 0x80).contains(&event) && task != 0 {
                sources |= 1 << ((event - first) / 4);
            }
        }
        sources
    }

    /// Whether the channels changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

impl Block for Ppi {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            CHEN | CHENSET | CHENCLR => self.enabled,
            CH..CH_END => {
                let (event, task) = self.ends[(offset - CH) as usize / 8];
                if offset & 4 == 0 { event } else { task }
            }
            CHG..CHG_END => self.groups[(offset - CHG) as usize / 4],
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, _now: Ticks, _wires: &mut Wires) {
        match offset {
            CHEN => self.enabled = value & CHANNELS,
            CHENSET => self.enabled |= value & CHANNELS,
            CHENCLR => self.enabled &= !value,
            CH..CH_END => {
                let (event, task) = &mut self.ends[(offset - CH) as usize / 8];
                *(if offset & 4 == 0 { event } else { task }) = value;
            }
            CHG..CHG_END => self.groups[(offset - CHG) as usize / 4] = value & CHANNELS,
            _ => {}
        }
        self.changed = true;
    }

    fn task(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) {
        if let Some(group) = self.groups.get(offset as usize / 8) {
            if offset & 4 == 0 {
                self.enabled |= group;
            } else {
                self.enabled &= !group;
            }
            self.changed = true;
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        *self = Ppi::new(31);
    }
}
