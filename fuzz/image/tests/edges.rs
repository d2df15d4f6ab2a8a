//! Edges of a foreign image tell how far its service sequence has come.

use std::sync::atomic::{AtomicU8, Ordering};

use fuzz_image::Target;
use fuzz_script::{Action, Press, Script};
use lockrig_sim::bench::BenchSpec;
use lockrig_sim::chip::edges::Edges;

#[test]
fn each_right_key_of_a_sequence_takes_a_new_way() {
    static EDGES: [AtomicU8; 1 << 15] = [const { AtomicU8::new(0) }; 1 << 15];
    let elf = include_bytes!("../../foreign/lock.elf");
    let edges = Edges::new(&EDGES);
    let target = Target::foreign(elf, &BenchSpec::SAFE, &[], Some(edges)).expect("an image");
    let mut reached = Vec::new();
    for keys in ["*", "*8", "*8#", "*8#2", "*8#20"] {
        EDGES
            .iter()
            .for_each(|edge| edge.store(0, Ordering::Relaxed));
        let presses = keys.chars().filter_map(Press::key);
        let script = Script {
            product: 0,
            actions: presses
                .map(|press| Action {
                    press,
                    ..Action::default()
                })
                .collect(),
        };
        target.run(&script.to_bytes()).expect("a script");
        reached.push(edges.reached());
    }
    assert!(
        reached.windows(2).all(|pair| pair[0] < pair[1]),
        "{reached:?}"
    );
}
