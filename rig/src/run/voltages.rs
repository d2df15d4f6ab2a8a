//! Which voltages a script feeds a board with: what the supply of a bench must be able to give.

use std::collections::BTreeSet;

use crate::profile::Profile;
use crate::quantity::Millivolts;
use crate::scenario::{Act, Doing, Script};
use crate::step::{CutMode, Drop};

/// Every voltage that the script sets, that of fresh cells among them where it sets any: what is cut comes back
/// with them.
pub fn voltages(script: &Script, profile: &Profile) -> BTreeSet<Millivolts> {
    let mut found = BTreeSet::new();
    for acts in [&script.setup, &script.steps, &script.finally, &script.lock] {
        walk(acts, profile, &mut found);
    }
    found
}

fn walk(acts: &[Act], profile: &Profile, found: &mut BTreeSet<Millivolts>) {
    let [fresh, sag] = [profile.supply.fresh.value, profile.supply.sag.value];
    for act in acts {
        match &act.doing {
            Doing::Supply { millivolts, .. } => found.extend(*millivolts),
            Doing::Interrupt { how, .. } => {
                found.insert(fresh);
                found.extend((*how == Drop::Sag).then_some(sag));
            }
            Doing::InterruptAt { cuts, .. } => {
                found.insert(fresh);
                let sags = |cut: &crate::step::Cut| matches!(cut.mode, CutMode::Sag(_));
                found.extend(cuts.iter().any(sags).then_some(sag));
            }
            _ => {}
        }
        walk(act.inner(), profile, found);
    }
}
