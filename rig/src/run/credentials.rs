//! What the rig believes the lock knows: which codes open it now.

use std::collections::BTreeMap;

use crate::oracle::Keeps;
use crate::profile::{AfterReset, Erased, Fact, Reset};
use crate::scenario::{CodeUse, Effect};
use crate::step::KnownCode;

/// The codes of a lock, by the names that the scenario gives them.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    slots: BTreeMap<u32, CodeUse>,
    factory: Factory,
    /// Where it stood when the lock left the factory.
    at_first: Factory,
    master: Option<CodeUse>,
    /// What outlived the last reset, and by which rule of the manual.
    kept: Vec<(CodeUse, Keeps)>,
    /// The next new code takes the place of all others.
    erased_by_next: bool,
    /// A change was interrupted, and it is not known yet which set holds.
    unsettled: bool,
}

/// Where the factory code stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Factory {
    /// The product has none, or it was revoked.
    #[default]
    Revoked,
    /// It opens the lock until an owner sets a code.
    UntilChanged,
    /// It always opens the lock.
    Permanent,
}

impl Credentials {
    /// A lock as it leaves the factory.
    pub fn from_factory(code: bool, permanent: bool) -> Credentials {
        let factory = match (code, permanent) {
            (false, _) => Factory::Revoked,
            (true, false) => Factory::UntilChanged,
            (true, true) => Factory::Permanent,
        };
        Credentials {
            factory,
            at_first: factory,
            ..Credentials::default()
        }
    }

    /// A code was stored in a slot, 0 for the first that is free; what was there no longer opens.
    pub fn store(&mut self, slot: u32, code: &CodeUse) {
        if std::mem::take(&mut self.erased_by_next) {
            self.slots.clear();
        }
        let is_free = |slot: &u32| !self.slots.contains_key(slot);
        let slot = match slot {
            0 => (1..).find(is_free).unwrap_or(1),
            slot => slot,
        };
        self.slots.insert(slot, code.clone());
        // A code that is stored anew did not outlive anything.
        let slots = &self.slots;
        self.kept.retain(|(kept, keeps)| match keeps {
            Keeps::UserCodes | Keeps::UserCodesUntilNew => {
                kept != code && slots.values().any(|other| other == kept)
            }
            _ => true,
        });
        if self.factory == Factory::UntilChanged {
            self.factory = Factory::Revoked;
        }
    }

    /// A code was deleted.
    pub fn delete(&mut self, code: &CodeUse) {
        self.slots.retain(|_, other| other != code);
        if *code == CodeUse::Known(KnownCode::Factory) {
            self.factory = Factory::Revoked;
        }
    }

    /// The factory's code opens as it did at first.
    pub fn restore_factory(&mut self) {
        self.factory = self.at_first;
    }

    /// A code authorises programming from now on.
    pub fn store_master(&mut self, code: &CodeUse) {
        self.master = Some(code.clone());
        self.kept.retain(|(_, keeps)| *keeps != Keeps::MasterCode);
    }

    /// A reset went through, which erases user codes and master code as the manual says; where it
    /// does not say, they are taken to stay, and nobody promises it.
    pub fn reset(&mut self, user: Option<Erased>, master: Option<Erased>) {
        if user == Some(Erased::AtOnce) {
            self.slots.clear();
        }
        if master == Some(Erased::AtOnce) {
            self.master = None;
        }
        self.erased_by_next = user == Some(Erased::WithNewCode);
        let user_codes = match user {
            Some(Erased::Kept) => Some(Keeps::UserCodes),
            Some(Erased::WithNewCode) => Some(Keeps::UserCodesUntilNew),
            _ => None,
        };
        let slots = self.slots.values();
        let user_codes = slots.filter_map(|code| Some((code.clone(), user_codes?)));
        let factory = (self.factory == Factory::Permanent)
            .then_some((CodeUse::Known(KnownCode::Factory), Keeps::FactoryCode));
        let is_kept = master == Some(Erased::Kept);
        let master = self.master.clone().filter(|_| is_kept);
        let master = master.map(|code| (code, Keeps::MasterCode));
        self.kept = user_codes.chain(factory).chain(master).collect();
    }

    /// A procedure went through; returns whether that changes codes. `reset` is what the manual says of one.
    pub fn take_effect(&mut self, effect: &Effect, reset: Option<&Reset>) -> bool {
        match effect {
            Effect::Resets => {
                let Some(reset) = reset else { return false };
                let user = reset.erases.user_codes.known().copied();
                let master = reset
                    .erases
                    .master_code
                    .and_then(|fact| fact.known().copied());
                self.reset(user, master);
                let at_once = user == Some(Erased::AtOnce);
                if at_once && reset.factory_code_afterwards == Fact::Known(AfterReset::Works) {
                    self.restore_factory();
                }
            }
            Effect::StoresUserCode { code, slot } => self.store(*slot, code),
            Effect::DeletesUserCode { code } => self.delete(code),
            Effect::StoresMasterCode { code } => self.store_master(code),
            Effect::Unknown { .. } => self.unsettle(),
            Effect::None | Effect::LearnsKey { .. } => return false,
        }
        true
    }

    /// What outlived the last reset, and by which rule of the manual.
    pub fn kept(&self) -> &[(CodeUse, Keeps)] {
        &self.kept
    }

    /// From here on any code may or may not be valid.
    pub fn unsettle(&mut self) {
        self.unsettled = true;
    }

    /// It was found out which codes open, and whether the factory's is one of them.
    pub fn settle(&mut self, codes: &[CodeUse], factory: bool) {
        self.unsettled = false;
        self.erased_by_next = false;
        self.kept.clear();
        self.slots = (1..).zip(codes.iter().cloned()).collect();
        if self.factory != Factory::Permanent {
            self.factory = if factory {
                Factory::UntilChanged
            } else {
                Factory::Revoked
            };
        }
    }

    /// The codes that open the lock.
    pub fn valid(&self) -> Vec<CodeUse> {
        let factory =
            (self.factory != Factory::Revoked).then_some(CodeUse::Known(KnownCode::Factory));
        self.slots.values().cloned().chain(factory).collect()
    }

    /// Whether a change was interrupted, and it is not known yet which codes open.
    pub fn is_unsettled(&self) -> bool {
        self.unsettled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTORY: CodeUse = CodeUse::Known(KnownCode::Factory);

    fn code(name: &str) -> CodeUse {
        CodeUse::Named(name.to_owned())
    }

    #[test]
    fn a_new_code_takes_the_place_of_the_old_one_in_its_slot_only() {
        let mut codes = Credentials::default();
        codes.store(1, &code("old"));
        codes.store(2, &code("other"));
        codes.store(1, &code("new"));
        assert_eq!(codes.valid(), [code("new"), code("other")]);
    }

    #[test]
    fn a_factory_code_opens_until_an_owner_sets_one() {
        let mut codes = Credentials::from_factory(true, false);
        assert_eq!(codes.valid(), [FACTORY]);
        codes.store(1, &code("new"));
        assert_eq!(codes.valid(), [code("new")]);
        codes.reset(Some(Erased::AtOnce), None);
        assert_eq!(codes.valid(), []);
    }

    #[test]
    fn a_permanent_factory_code_stays() {
        let mut codes = Credentials::from_factory(true, true);
        codes.store(1, &code("new"));
        assert_eq!(codes.valid(), [code("new"), FACTORY]);
        codes.reset(Some(Erased::AtOnce), None);
        assert_eq!(codes.valid(), [FACTORY]);
        codes.settle(&[], false);
        assert_eq!(codes.valid(), [FACTORY]);
    }

    #[test]
    fn a_reset_may_bring_back_the_factory_code() {
        let mut codes = Credentials::from_factory(true, false);
        codes.store(1, &code("new"));
        codes.reset(Some(Erased::AtOnce), None);
        assert_eq!(codes.valid(), []);
        codes.restore_factory();
        assert_eq!(codes.valid(), [FACTORY]);
        codes.store(1, &code("new"));
        assert_eq!(codes.valid(), [code("new")]);
    }

    #[test]
    fn a_code_that_is_deleted_no_longer_opens_and_the_others_do() {
        let mut codes = Credentials::from_factory(true, true);
        codes.store(1, &code("one"));
        codes.store(2, &code("two"));
        codes.delete(&code("one"));
        assert_eq!(codes.valid(), [code("two"), FACTORY]);
        codes.delete(&FACTORY);
        assert_eq!(codes.valid(), [code("two")]);
    }

    #[test]
    fn a_product_without_a_factory_code_has_none() {
        for permanent in [false, true] {
            let codes = Credentials::from_factory(false, permanent);
            assert_eq!(codes.valid(), []);
        }
    }

    #[test]
    fn what_was_found_out_after_a_cut_replaces_what_was_believed() {
        let mut codes = Credentials::from_factory(true, false);
        codes.store(3, &code("old"));
        assert!(!codes.is_unsettled());
        codes.unsettle();
        assert!(codes.is_unsettled());
        codes.settle(&[code("new")], false);
        assert!(!codes.is_unsettled());
        assert_eq!(codes.valid(), [code("new")]);
        codes.settle(&[], true);
        assert_eq!(codes.valid(), [FACTORY]);
        codes.settle(&[code("new")], false);
        assert_eq!(codes.valid(), [code("new")]);
    }

    fn kept(codes: &Credentials) -> Vec<(CodeUse, Keeps)> {
        codes.kept().to_vec()
    }

    #[test]
    fn a_reset_keeps_what_the_manual_says() {
        let mut codes = Credentials::from_factory(true, true);
        codes.store(1, &code("one"));
        codes.store(2, &code("two"));
        codes.store_master(&code("boss"));
        let factory = (FACTORY, Keeps::FactoryCode);

        let mut silent = codes.clone();
        silent.reset(None, None);
        assert_eq!(silent.valid(), [code("one"), code("two"), FACTORY]);
        assert_eq!(kept(&silent), std::slice::from_ref(&factory));

        let mut erased = codes.clone();
        erased.reset(Some(Erased::AtOnce), Some(Erased::AtOnce));
        assert_eq!(erased.valid(), [FACTORY]);
        assert_eq!(kept(&erased), std::slice::from_ref(&factory));

        codes.reset(Some(Erased::Kept), Some(Erased::Kept));
        let users = [code("one"), code("two")].map(|code| (code, Keeps::UserCodes));
        let boss = (code("boss"), Keeps::MasterCode);
        let all = Vec::from_iter(users.into_iter().chain([factory, boss]));
        assert_eq!(kept(&codes), all);
    }

    #[test]
    fn a_master_code_that_a_reset_erased_is_not_kept_by_the_next() {
        let mut codes = Credentials::default();
        codes.store_master(&code("boss"));
        codes.reset(None, Some(Erased::AtOnce));
        codes.reset(None, Some(Erased::Kept));
        assert_eq!(kept(&codes), []);
    }

    #[test]
    fn codes_that_are_kept_until_there_is_a_new_one_go_with_it() {
        let mut codes = Credentials::default();
        codes.store(1, &code("one"));
        codes.store(2, &code("two"));
        codes.reset(Some(Erased::WithNewCode), None);
        let users = [code("one"), code("two")].map(|code| (code, Keeps::UserCodesUntilNew));
        assert_eq!(kept(&codes), users);
        assert_eq!(codes.valid(), [code("one"), code("two")]);
        codes.store(1, &code("new"));
        assert_eq!(kept(&codes), []);
        assert_eq!(codes.valid(), [code("new")]);
        codes.store(2, &code("other"));
        assert_eq!(codes.valid(), [code("new"), code("other")]);
    }

    #[test]
    fn what_is_stored_after_a_reset_did_not_outlive_it() {
        let mut codes = Credentials::from_factory(true, true);
        codes.store(1, &code("one"));
        codes.store(2, &code("two"));
        codes.store(3, &code("three"));
        codes.store_master(&code("boss"));
        codes.reset(Some(Erased::Kept), Some(Erased::Kept));
        codes.store(1, &code("new"));
        codes.store(2, &code("two"));
        codes.store_master(&code("boss"));
        assert_eq!(
            kept(&codes),
            [
                (code("three"), Keeps::UserCodes),
                (FACTORY, Keeps::FactoryCode)
            ]
        );
    }

    #[test]
    fn after_a_cut_nothing_is_known_to_have_outlived_a_reset() {
        let mut codes = Credentials::default();
        codes.store(1, &code("one"));
        codes.reset(Some(Erased::WithNewCode), None);
        codes.unsettle();
        codes.settle(&[code("one"), code("two")], false);
        assert_eq!(kept(&codes), []);
        codes.store(3, &code("new"));
        assert_eq!(codes.valid(), [code("one"), code("two"), code("new")]);
    }
}
