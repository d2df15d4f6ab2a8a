//! The GPIO character device of an emulated computer, with the kernel's simulated chip behind it. What the kernel
//! itself traces of its lines is compared with what `lockrig` says.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::guest::{Archive, Guest, given};
use crate::trace::{edges, measured};
use crate::wiring::{self, PROGRAM, RUN};

const RUN_MAX: Duration = Duration::from_secs(180);
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// How far two time stamps of one edge may be apart: the guest is emulated, and its one processor runs what is
/// traced as well as what traces.
const STAMPS_MAX: Duration = Duration::from_millis(60);

/// The bench of the Raspberry Pi's test, at the simulated chip: edges come from the kernel, and one line is
/// debounced there.
fn bench_file() -> String {
    let file = include_str!("bench.toml");
    let file = file.replace(
        "{ at = \"raspberry-pi\", sample = \"1 ms\" }",
        "{ at = \"gpiochip:rig\" }",
    );
    let red = "pin = \"23\", active = \"high\"";
    file.replace(red, &format!("{red}, debounce = \"5 ms\""))
}

fn boot() -> Guest {
    let lockrig = PathBuf::from(env!("CARGO_BIN_EXE_lockrig"));
    let mut archive = Archive::with_libraries(&given("LOCKRIG_PC_BUSYBOX"), &lockrig);
    archive.add_file("root/configfs.ko", &given("LOCKRIG_PC_CONFIGFS"));
    archive.add_file("root/gpio-simulated.ko", &given("LOCKRIG_PC_GPIO_SIM"));
    archive.add("root/modules.sh", include_bytes!("modules.sh"));
    archive.add("root/lock.sh", include_bytes!("lock.sh"));
    archive.add("root/bench.toml", bench_file().as_bytes());
    archive.add("root/scenario.yaml", include_bytes!("scenario.yaml"));
    let mut guest = Guest::boot("ttyS0", archive, |_| {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-m", "512", "-nic", "none", "-kernel"])
            .arg(given("LOCKRIG_PC_KERNEL"));
        qemu
    });
    guest.wait_for_shell();
    guest
}

/// What the kernel traced: outputs that were set, and what the lock's script noted, by the kernel's clock.
struct Traced {
    sets: Vec<(Duration, u32, bool)>,
    notes: Vec<Duration>,
}

fn begin_tracing(guest: &mut Guest) {
    let commands = "cd /sys/kernel/tracing && echo mono >trace_clock && echo >trace && \
                    echo 1 >events/gpio/gpio_value/enable && cd /root";
    assert_eq!(guest.run(commands, COMMAND_MAX).1, 0);
}

fn traced(guest: &mut Guest) -> Traced {
    let (base, _) = guest.run("cat /sys/class/gpio/gpiochip*/base", COMMAND_MAX);
    let base: u32 = base.trim().parse().expect("the first line's number");
    let (text, _) = guest.run("cat /sys/kernel/tracing/trace", COMMAND_MAX);
    let mut traced = Traced {
        sets: Vec::new(),
        notes: Vec::new(),
    };
    let mut last = [None; 32];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let stamp = words
            .iter()
            .find_map(|word| word.strip_suffix(':')?.parse::<f64>().ok());
        match words[..] {
            [.., "gpio_value:", number, "set", value] => {
                let pin = number.parse::<u32>().expect("a line's number") - base;
                let at = Duration::from_secs_f64(stamp.expect("a time"));
                // What is driven to the level that it has is no edge.
                if last[pin as usize]
                    .replace(value)
                    .is_some_and(|before| before != value)
                {
                    traced.sets.push((at, pin, value == "1"));
                }
            }
            [.., "lock", _] => traced
                .notes
                .push(Duration::from_secs_f64(stamp.expect("a time"))),
            _ => {}
        }
    }
    traced
}

fn words(traced: &Traced) -> Vec<String> {
    let word =
        |(_, pin, high): &(Duration, u32, bool)| format!("{pin}{}", if *high { "-" } else { "+" });
    traced.sets.iter().map(word).collect()
}

fn run_with_flashes(guest: &mut Guest, flashes: u32) -> (String, i32) {
    begin_tracing(guest);
    guest.run(
        &format!("rm -rf /tmp/reports; (sh lock.sh {flashes} &)"),
        COMMAND_MAX,
    );
    let (_, code) = guest.run(RUN, RUN_MAX);
    (guest.run("cat /tmp/said", COMMAND_MAX).0, code)
}

#[test]
#[ignore = "needs an emulated computer: call .ci/pins"]
fn edges_have_the_stamps_of_the_kernel_and_inputs_decide_the_verdict() {
    let mut guest = boot();
    let (said, code) = run_with_flashes(&mut guest, 3);
    assert_eq!(code, 0, "{said}");
    let kernel = traced(&mut guest);
    assert_eq!(
        words(&kernel),
        wiring::edges_of_the_run(),
        "exactly these, in this order"
    );

    let (trace, _) = guest.run("cat /tmp/reports/*/events.jsonl", COMMAND_MAX);
    let hold = measured(&trace, "hold of button program");
    let of_hold = kernel.sets.iter().filter(|(_, pin, _)| *pin == PROGRAM);
    let of_hold: Vec<Duration> = of_hold.map(|(at, ..)| *at).collect();
    let seen = of_hold[1] - of_hold[0];
    println!(
        "hold: asked {:?}, lockrig {:?}, kernel {seen:?}",
        hold.asked, hold.value
    );
    assert!(seen.abs_diff(hold.value) < STAMPS_MAX);
    assert_eq!(hold.asked, Duration::from_secs(2));

    // Three times on and off: what lockrig has of the kernel, beside what the lock noted just before.
    let red = edges(&trace, "red");
    assert_eq!((red.len(), kernel.notes.len()), (6, 6));
    for (edge, note) in red.iter().zip(&kernel.notes) {
        let since_first = (*edge - red[0]).abs_diff(*note - kernel.notes[0]);
        println!("edge of the red lamp: {since_first:?} apart");
        assert!(since_first < STAMPS_MAX);
    }

    let (said, code) = run_with_flashes(&mut guest, 2);
    assert_eq!(code, 1, "{said}");
    let kernel = traced(&mut guest);
    assert_eq!(words(&kernel), wiring::edges_of_the_run()[..20]);
}

#[test]
#[ignore = "needs an emulated computer: call .ci/pins"]
fn what_is_killed_in_the_middle_of_a_hold_leaves_every_line_at_rest() {
    let mut guest = boot();
    let press =
        "lockrig press program --for 50s --bench bench.toml --profile kwikset-smartcode-909";
    guest.type_line(&format!("{press} & echo \"guest: pid $!\""));
    guest.said_before("guest: pid ", COMMAND_MAX);
    let pid = guest.rest_of_line();
    let level = "cat /sim/sim_gpio26/value";
    let until = |level: u32| {
        format!(
            "for i in $(seq 600); do [ \"$(cat /sim/sim_gpio26/value)\" = {level} ] && break; usleep 50000; done"
        )
    };
    // A line that nobody drives is high; then lockrig opens it high, then it is held.
    guest.run(&until(0), COMMAND_MAX);
    assert_eq!(guest.run(level, COMMAND_MAX).0.trim(), "0");
    // Another bench that calls the same chip by another name is refused meanwhile.
    let other = "sed 's/gpiochip:rig/\\/dev\\/gpiochip0/; s/^bench = .*/bench = \"other\"/; s/5025/5026/' bench.toml >other.toml";
    assert_eq!(guest.run(other, COMMAND_MAX).1, 0);
    let second = "lockrig press program --bench other.toml --profile kwikset-smartcode-909 2>&1";
    let (said, code) = guest.run(second, COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains(&format!("process {pid}")), "{said}");
    begin_tracing(&mut guest);
    guest.run(&format!("kill -9 {pid}; {}", until(1)), COMMAND_MAX);
    // The guard has the lines until it has driven them.
    guest.run("sleep 3", COMMAND_MAX);
    assert_eq!(guest.run(level, COMMAND_MAX).0.trim(), "1");
    let (text, _) = guest.run("grep -c 'set 1' /sys/kernel/tracing/trace", COMMAND_MAX);
    assert_ne!(text.trim(), "0", "the guard drove them");
}

#[test]
#[ignore = "needs an emulated computer: call .ci/pins"]
fn who_uses_a_line_and_who_may_not_is_named() {
    let mut guest = boot();
    let press = "lockrig press program --bench /root/bench.toml --profile kwikset-smartcode-909";
    let (said, code) = guest.run(&format!("su guest -c '{press}' 2>&1"), COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no permission for /dev/gpiochip0"), "{said}");
    assert!(
        said.contains("gpio for pins; boards/linux/60-lockrig.rules grants both"),
        "{said}"
    );
    // The kernel's own door for scripts takes the line of the program button.
    guest.run(
        "echo $(( $(cat /sys/class/gpio/gpiochip*/base) + 26 )) >/sys/class/gpio/export",
        COMMAND_MAX,
    );
    let (said, code) = guest.run(&format!("{press} 2>&1"), COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("opening pin 26 for 'button program'"),
        "{said}"
    );
    assert!(said.contains("'sysfs' uses it"), "{said}");
}
