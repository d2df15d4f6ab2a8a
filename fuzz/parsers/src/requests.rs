//! What debuggers ask of a bench that is served: any bytes, at a chip that runs.

use std::sync::LazyLock;

use lockrig::serve::gdb::{Core, Debugger};
use lockrig_sim::bench::{BenchSpec, Port, VirtualBench};
use lockrig_sim::chip::debug::Target;
use lockrig_sim::probe::BlackMagicProbe;
use lockrig_sim::time::Ticks;

/// The most bytes of a request that are looked at: each may take bench time.
const BYTES_MAX: usize = 512;

/// A bench whose chip runs two instructions in a loop.
static BENCH: LazyLock<VirtualBench> = LazyLock::new(|| {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    // Stack pointer, reset vector, and from 0x40 on: add r0, 1; b there.
    bench.load(0, &0x2000_4000_u32.to_le_bytes());
    bench.load(4, &0x41_u32.to_le_bytes());
    bench.load(0x40, &[0x01, 0x30, 0xFD, 0xE7]);
    bench.write(Port::Supply, b"VOLT 9;CURR 2;OUTP ON\n");
    while bench.run_until(Ticks::from_millis(100)).is_some() {}
    bench
});

/// The debug probe's remote protocol. What it answers is a frame.
pub fn probe(bytes: &[u8]) {
    let mut bench = BENCH.clone();
    let mut probe = BlackMagicProbe::default();
    for byte in bytes.iter().take(BYTES_MAX) {
        if let Some(answer) = probe.receive(*byte, &mut bench) {
            assert!(
                answer.starts_with('&') && answer.ends_with('#'),
                "no frame: {answer}"
            );
        }
    }
}

/// gdb's remote serial protocol.
pub fn gdb(bytes: &[u8]) {
    let mut core = Core::new(BENCH.clone());
    let mut debugger = Debugger::attach(&mut core);
    for byte in bytes.iter().take(BYTES_MAX) {
        debugger.receive(*byte, &mut core);
        // While the core runs, time passes.
        let until = core.bench.now() + Ticks::from_micros(10);
        core.bench.pass(until);
        debugger.look(&mut core);
    }
    debugger.detach(&mut core);
}
