//! The reference firmware of a lock on the nRF51822: the state machine of `code-entry` on real pins.
//!
//! One loop collects inputs, lets the lock decide, shows what it decided, and sleeps until the next deadline
//! or edge. There is no interrupt handler and no periodic tick. What the lock stores goes to three pages of
//! flash through `journal` before anything can be seen of it; nothing is saved when power fails.
//!
//! Two product lines from one source, by the features `safe` and `smart-lock`; which product it is, the
//! personality page says. The pins are in `pins`, the flash map is in `memory.x` and `flash`.

#![no_std]
#![no_main]

#[cfg(not(any(feature = "safe", feature = "smart-lock")))]
compile_error!("choose a product line: --features safe or --features smart-lock");
#[cfg(all(feature = "safe", feature = "smart-lock"))]
compile_error!("a lock is either a safe or a smart lock");

mod battery;
mod beeper;
mod bolt;
mod clock;
mod console;
#[cfg(feature = "museum-counter-page")]
mod counter_page;
mod debounce;
mod fault;
mod flash;
mod inputs;
#[cfg(feature = "museum-sequential-storage")]
mod map_storage;
#[cfg(feature = "museum-one-page")]
mod one_page;
mod personality;
mod pins;
mod registers;
mod show;
mod sleep;
mod store;
mod supply;
mod watchdog;

use code_entry::personality::Kind;
use code_entry::report::Fault;
use code_entry::{
    Authority, BoltCommand, Button, Input, Lock, Outputs, Personality, PowerOn, Report, Signal,
    SignalTable, State, Status,
};
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
#[cfg(feature = "log")]
use defmt_rtt as _;
use nrf51_pac::Peripherals;

use crate::battery::Battery;
use crate::beeper::Beeper;
use crate::bolt::Drive;
use crate::clock::Clock;
use crate::console::{Command, Console};
use crate::flash::JournalPages;
use crate::inputs::Inputs;
use crate::pins::Port;
use crate::show::Show;
use crate::sleep::Nap;
use crate::store::{Store, Unreadable};
use crate::supply::Comparator;
use crate::watchdog::Watchdog;

const IMAGE: &str = if cfg!(feature = "safe") {
    "safe"
} else {
    "smart-lock"
};
const KIND: Kind = if cfg!(feature = "safe") {
    Kind::Safe
} else {
    Kind::SmartLock
};

/// What the lock's decisions reach.
struct Effects {
    port: Port,
    console: Console,
    show: Show,
    drive: Drive,
    now_ms: u64,
}

impl Effects {
    /// The bolt's drive gets what the lock has shown for a withdrawal.
    fn withdraw(&mut self, authority: Authority) {
        self.drive.withdraw(&self.port, authority);
    }
}

impl Outputs for Effects {
    fn signal(&mut self, signal: Signal) {
        self.show.raise(self.now_ms, signal);
    }

    fn bolt(&mut self, command: BoltCommand) {
        self.drive.command(&self.port, self.now_ms, command);
    }

    fn report(&mut self, report: Report) {
        self.console.line(report);
    }
}

/// Between two looks at a supply that was too low for flash, and how many in a row have to be good.
const SUPPLY_LOOK_MS: u64 = 100;
const SUPPLY_LOOKS: u8 = 3;

/// The board with its lock, or with the fault that keeps it from being one.
struct Board<'chip> {
    lock: Option<Lock<Store<'chip>>>,
    /// The lock's next deadline.
    due_ms: Option<u64>,
    effects: Effects,
    inputs: Inputs,
    battery: Battery,
    clock: Clock,
    supply: Comparator<'chip>,
    watchdog: Watchdog,
    starved: Option<Starved>,
}

/// A fault that ends with a better supply.
struct Starved {
    next_look_ms: u64,
    /// How many looks in a row were good.
    good: u8,
}

#[entry]
fn main() -> ! {
    // The only call, so it is there.
    let Some(chip) = Peripherals::take() else {
        panic!()
    };
    sleep::prepare();
    let watchdog = Watchdog::new(chip.WDT);
    let port = Port::new(chip.GPIO, chip.GPIOTE);
    let drive = Drive::new(&port);
    let mut console = Console::new(chip.UART0);
    let personality = personality::read()
        .ok()
        .filter(|personality| personality.kind == KIND);
    let product = personality
        .as_ref()
        .map_or("none", |personality| personality.product.as_str());
    let reason = watchdog::take_reset_reason(&chip.POWER);
    let is_power_on = reason == watchdog::POWER_ON;
    console.line(format_args!(
        "boot reason={reason} image={IMAGE} product={product}"
    ));
    #[cfg(not(feature = "tick-timer0"))]
    let counter = chip.RTC0;
    #[cfg(feature = "tick-timer0")]
    let counter = chip.TIMER0;
    let clock = Clock::new(&chip.CLOCK, counter, &chip.TIMER2, &mut console);
    let nap = Nap::new(chip.TIMER2);
    let inputs = Inputs::new(&port, &clock, &nap);
    let beeper = Beeper::new(chip.TIMER1, &chip.PPI, &port);
    let signals = personality
        .as_ref()
        .map_or_else(SignalTable::default, |personality| {
            personality.signals.clone()
        });
    let mut board = Board {
        lock: None,
        due_ms: None,
        effects: Effects {
            port,
            console,
            show: Show::new(signals, beeper),
            drive,
            now_ms: 0,
        },
        inputs,
        battery: Battery::new(chip.ADC),
        clock,
        supply: Comparator::new(&chip.POWER),
        watchdog,
        starved: None,
    };
    let pages = JournalPages::new(chip.NVMC, board.supply, nap);
    if let Err(fault) = board.power_on(personality, pages, is_power_on) {
        board.effects.report(Report::Fault(fault));
        board
            .effects
            .show
            .raise(board.effects.now_ms, Signal::Fault);
    }
    loop {
        board.turn();
        board.sleep();
    }
}

impl<'chip> Board<'chip> {
    /// Brings up the lock from what is stored. A button that is down counts from power-on only if that is
    /// what started the chip.
    fn power_on(
        &mut self,
        personality: Option<Personality>,
        pages: JournalPages<'chip>,
        is_power_on: bool,
    ) -> Result<(), Fault> {
        let personality = personality.ok_or(Fault::Personality)?;
        let (store, record) = Store::open(pages).map_err(|unreadable| match unreadable {
            Unreadable::Starved => {
                self.starve();
                Fault::Storage
            }
            Unreadable::Journal => Fault::Storage,
            Unreadable::Record => Fault::Record,
        })?;
        let found = PowerOn {
            // The clock begins with the power.
            since_ms: 0,
            door_open: self.inputs.is_door_open(),
            bolt: self.inputs.bolt(),
            supply_mv: self.battery.measure_mv(),
            reset_button_down: is_power_on && self.inputs.is_down(Button::Reset),
            program_button_down: is_power_on && self.inputs.is_down(Button::Program),
        };
        // The factory's test of a finished lock: everything moves once.
        #[cfg(feature = "museum-self-test-key")]
        if is_power_on && self.inputs.is_key_down(code_entry::Key::Hash) {
            self.begin();
            self.effects.bolt(BoltCommand::Withdraw);
            self.effects.drive.test(&self.effects.port);
        }
        let now_ms = self.begin();
        let lock = Lock::power_on(personality, store, record, now_ms, found, &mut self.effects);
        self.effects.withdraw(lock.authority());
        self.due_ms = lock.next_deadline();
        self.lock = Some(lock);
        Ok(())
    }

    /// Once round: inputs, deadlines, outputs.
    fn turn(&mut self) {
        let now_ms = self.begin();
        // The last moment before something is down is the time to look at the battery.
        if self.inputs.is_resting() && self.effects.port.has_changed() {
            self.measure();
        }
        self.inputs.look(&self.effects.port, &self.clock);
        for input in self.inputs.take_changes() {
            self.handle(input);
        }
        if self.effects.drive.is_load_due(now_ms) {
            self.measure();
        }
        while let Some(command) = self.effects.console.receive() {
            self.obey(command);
        }
        if self.due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            let now_ms = self.begin();
            if let Some(lock) = &mut self.lock {
                // The lock has said so on the console and shows it as its state.
                lock.tick(now_ms, &mut self.effects).ok();
                self.effects.withdraw(lock.authority());
                self.due_ms = lock.next_deadline();
            }
        }
        let now_ms = self.effects.now_ms;
        let effects = &mut self.effects;
        effects.drive.run(&effects.port, now_ms);
        effects.show.run(&effects.port, now_ms);
        effects.console.pump();
        self.recover(now_ms);
    }

    /// Starts anew once a supply that was too low for flash is back. Only a journal that is opened anew tells
    /// which record counts; nothing of the one that failed was shown.
    fn recover(&mut self, now_ms: u64) {
        let is_starved = |lock: &Lock<Store<'_>>| lock.storage().is_starved();
        if self.starved.is_none() && self.lock.as_ref().is_some_and(is_starved) {
            self.starve();
        }
        let Some(starved) = &mut self.starved else {
            return;
        };
        if now_ms < starved.next_look_ms {
            return;
        }
        starved.next_look_ms = now_ms + SUPPLY_LOOK_MS;
        starved.good = match self.supply.is_warning() {
            true => 0,
            false => (starved.good + 1).min(SUPPLY_LOOKS),
        };
        if starved.good == SUPPLY_LOOKS && self.effects.console.is_idle() {
            SCB::sys_reset();
        }
    }

    fn starve(&mut self) {
        self.starved = Some(Starved {
            next_look_ms: 0,
            good: 0,
        });
    }

    fn sleep(&mut self) {
        let effects = &mut self.effects;
        let deadlines = [
            self.due_ms,
            effects.show.deadline(),
            effects.drive.deadline(),
            self.starved.as_ref().map(|starved| starved.next_look_ms),
        ];
        self.clock
            .alarm_at(deadlines.iter().flatten().min().copied());
        let (clock, port, console) = (&self.clock, &effects.port, &mut effects.console);
        // A sample that changes nothing, and the next byte of a line, need no look at anything else.
        loop {
            let is_due = || clock.is_alarmed() || console.has_received();
            sleep::until_something(|| {
                is_due() || self.inputs.is_due(port, clock) || console.has_sent()
            });
            self.watchdog.feed();
            let is_edge = self.inputs.is_resting() && port.has_changed();
            if is_edge || is_due() || self.inputs.look(port, clock) {
                return;
            }
            console.pump();
        }
    }

    /// A call of the lock begins; says when.
    fn begin(&mut self) -> u64 {
        let now_ms = self.clock.now_ms();
        self.effects.now_ms = now_ms;
        self.effects.show.begin_call();
        now_ms
    }

    fn handle(&mut self, input: Input) {
        let now_ms = self.begin();
        match &mut self.lock {
            // The lock has said so on the console and shows it as its state.
            Some(lock) => {
                lock.handle(now_ms, input, &mut self.effects).ok();
                self.effects.withdraw(lock.authority());
                self.due_ms = lock.next_deadline();
            }
            None if matches!(input, Input::KeyDown(_)) => self.effects.signal(Signal::Fault),
            None => {}
        }
    }

    fn measure(&mut self) {
        let millivolts = self.battery.measure_mv();
        self.handle(Input::Supply(millivolts));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Status => {
                let now_ms = self.begin();
                let status = match &self.lock {
                    Some(lock) => lock.status(now_ms),
                    None => Status {
                        state: State::Fault,
                        failures: 0,
                        users: 0,
                        lockout_ms: 0,
                    },
                };
                self.effects.console.line(status);
            }
            #[cfg(feature = "tick-timer0")]
            Command::Key(label) => {
                if let Some(key) = code_entry::Key::from_label(char::from(label)) {
                    self.handle(Input::KeyDown(key));
                    self.handle(Input::KeyUp(key));
                }
            }
        }
    }
}
