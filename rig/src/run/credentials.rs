//! What the rig believes the lock knows: which codes open it now.

use std::collections::BTreeMap;

use crate::scenario::CodeUse;
use crate::step::KnownCode;

/// The codes of a lock, by the names that the scenario gives them.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    slots: BTreeMap<u32, CodeUse>,
    factory: Factory,
    /// Where it stood when the lock left the factory.
    at_first: Factory,
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

    /// A code was stored in a slot; what was there no longer opens.
    pub fn store(&mut self, slot: u32, code: &CodeUse) {
        self.slots.insert(slot, code.clone());
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

    /// A reset erased the user codes, and may have brought back the factory's.
    pub fn erase(&mut self, factory_works: bool) {
        self.slots.clear();
        if factory_works {
            self.factory = self.at_first;
        }
    }

    /// From here on any code may or may not be valid.
    pub fn unsettle(&mut self) {
        self.unsettled = true;
    }

    /// It was found out which codes open, and whether the factory's is one of them.
    pub fn settle(&mut self, codes: &[CodeUse], factory: bool) {
        self.unsettled = false;
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
        codes.erase(false);
        assert_eq!(codes.valid(), []);
    }

    #[test]
    fn a_permanent_factory_code_stays() {
        let mut codes = Credentials::from_factory(true, true);
        codes.store(1, &code("new"));
        assert_eq!(codes.valid(), [code("new"), FACTORY]);
        codes.erase(false);
        assert_eq!(codes.valid(), [FACTORY]);
        codes.settle(&[], false);
        assert_eq!(codes.valid(), [FACTORY]);
    }

    #[test]
    fn a_reset_may_bring_back_the_factory_code() {
        let mut codes = Credentials::from_factory(true, false);
        codes.store(1, &code("new"));
        codes.erase(false);
        assert_eq!(codes.valid(), []);
        codes.erase(true);
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
}
