//! The journal under loss of power: at every word written and every page erased, torn in every way that
//! `flash` knows, again in the recovery from that, and at random up to six times.
//!
//! The oracle knows what was reported. After any cut the record is exactly the one reported last or
//! exactly the one whose commit was under way; once reported, it stays.

mod flash;

use std::collections::HashSet;

use journal::{CommitError, Journal, OpenError};

use flash::{Cut, Flash, Reads, Tear, TestRandom, Word};

const CAPACITY: usize = 8;

type Record = Option<Vec<u8>>;
type Words = [Word; 3 * flash::PAGE_WORDS];

/// What boots may report from here on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Allowed {
    old: Record,
    new: Record,
}

impl Allowed {
    fn only(record: Record) -> Self {
        Allowed {
            old: record.clone(),
            new: record,
        }
    }

    fn check(&self, reported: &Record, flash: &Flash) {
        assert!(
            *reported == self.old || *reported == self.new,
            "reported {reported:?}, allowed {self:?}, {flash:?}"
        );
    }
}

/// One boot: open the journal, report, commit `next`. Says what later boots may report.
///
/// With a cut set on the flash this ends where the cut falls.
fn boot(flash: &mut Flash, allowed: &Allowed, next: &[u8]) -> Allowed {
    let mut journal = match Journal::<_, CAPACITY>::open(&mut *flash) {
        Ok(journal) => journal,
        Err(OpenError::Flash(Cut)) => return allowed.clone(),
        Err(error) => panic!("{error} after {allowed:?}, {flash:?}"),
    };
    let reported = journal.read().map(<[u8]>::to_vec);
    let committed = journal.commit(next);
    allowed.check(&reported, flash);
    match committed {
        Ok(()) => Allowed::only(Some(next.to_vec())),
        Err(CommitError::Flash(Cut)) => Allowed {
            old: reported,
            new: Some(next.to_vec()),
        },
        Err(error) => panic!("{error}"),
    }
}

/// Opens the journal at several boots that read torn bits differently; all have to report the same.
fn check_settles(mut flash: Flash, allowed: &Allowed, reads: &[Reads]) {
    let mut allowed = allowed.clone();
    for &reads in reads {
        flash.reboot(reads);
        let journal = Journal::<_, CAPACITY>::open(&mut flash)
            .unwrap_or_else(|error| panic!("{error} after {allowed:?}"));
        let reported = journal.read().map(<[u8]>::to_vec);
        allowed.check(&reported, &flash);
        allowed = Allowed::only(reported);
    }
}

struct Search {
    tears: fn(is_erase: bool) -> Vec<Tear>,
    reads: Vec<Reads>,
    cuts: u64,
    states: HashSet<(Words, Allowed, u32)>,
}

impl Search {
    fn new(tears: fn(bool) -> Vec<Tear>, reads: &[Reads]) -> Self {
        Search {
            tears,
            reads: reads.to_vec(),
            cuts: 0,
            states: HashSet::new(),
        }
    }

    /// Cuts a boot at every operation in every way, and each boot after that, `depth` cuts deep.
    fn explore(&mut self, flash: &Flash, allowed: &Allowed, depth: u32) {
        let every: &[Reads] = &self.reads.clone();
        let reads = if flash.is_solid() { &every[..1] } else { every };
        for &reads in reads {
            let mut booted = flash.clone();
            booted.reboot(reads);
            let next = [depth as u8; 5];
            let mut whole = booted.clone();
            let after = boot(&mut whole, allowed, &next);
            assert_eq!(after, Allowed::only(Some(next.to_vec())));
            for index in 0..whole.operations() {
                for tear in (self.tears)(whole.was_erase(index)) {
                    let mut torn = booted.clone();
                    torn.cut_at(index, tear);
                    let allowed = boot(&mut torn, allowed, &next);
                    self.cuts += 1;
                    torn.reboot(Reads::Old);
                    if !self.states.insert((torn.words(), allowed.clone(), depth)) {
                        continue;
                    }
                    if depth > 1 {
                        self.explore(&torn, &allowed, depth - 1);
                    } else {
                        check_settles(torn, &allowed, every);
                    }
                }
            }
        }
    }

    /// From a new chip, from a formatted one, and from each of the three pages being the newest.
    fn explore_from_every_start(&mut self, depth: u32) {
        let mut flash = Flash::new();
        let mut allowed = Allowed::only(None);
        self.explore(&flash, &allowed, depth);
        Journal::<_, CAPACITY>::open(&mut flash).expect("a new chip formats");
        flash.reboot(Reads::Old);
        self.explore(&flash, &allowed, depth);
        for round in 0..3 {
            allowed = boot(&mut flash, &allowed, &[0x50 + round; 6]);
            flash.reboot(Reads::Old);
            self.explore(&flash, &allowed, depth);
        }
    }
}

const EVERY_READING: [Reads; 4] = [Reads::Old, Reads::New, Reads::Mixed(1), Reads::Flicker(2)];

fn every_tear(is_erase: bool) -> Vec<Tear> {
    let mut tears = vec![Tear::Before, Tear::Complete, Tear::Loose];
    let prefixes = if is_erase { flash::PAGE_WORDS } else { 32 };
    tears.extend((1..prefixes as u32).map(Tear::Prefix));
    tears.extend((0..6).map(Tear::Subset));
    tears.extend((0..3).map(Tear::LooseSubset));
    tears
}

/// The tears that leave the most open: nothing done, all done, and every changing bit undecided.
fn widest_tears(_: bool) -> Vec<Tear> {
    vec![Tear::Before, Tear::Complete, Tear::Loose]
}

/// The same for words; a torn erase leaves a page that no longer reads as it was.
fn tears_of_words(is_erase: bool) -> Vec<Tear> {
    if is_erase {
        vec![Tear::Before, Tear::Complete, Tear::Prefix(1)]
    } else {
        widest_tears(false)
    }
}

#[test]
fn one_cut_anywhere_leaves_the_old_or_the_new_record() {
    let mut search = Search::new(every_tear, &EVERY_READING);
    search.explore_from_every_start(1);
    println!("depth 1, every tear: {} cuts", search.cuts);
}

#[test]
fn a_second_cut_in_the_recovery_leaves_the_old_or_the_new_record() {
    let mut search = Search::new(every_tear, &EVERY_READING);
    search.explore_from_every_start(2);
    println!("depth 2, every tear: {} cuts", search.cuts);
}

#[test]
fn three_cuts_in_a_row_leave_the_old_or_the_new_record() {
    let mut search = Search::new(widest_tears, &[Reads::Old, Reads::New]);
    search.explore_from_every_start(3);
    println!("depth 3, widest tears: {} cuts", search.cuts);
}

#[test]
fn four_cuts_in_a_row_do_too_if_a_torn_erase_cannot_read_as_if_it_had_not_begun() {
    let mut search = Search::new(tears_of_words, &[Reads::Old, Reads::New]);
    search.explore_from_every_start(4);
    println!("depth 4, torn words: {} cuts", search.cuts);
}

#[test]
fn up_to_six_random_cuts_leave_the_old_or_the_new_record() {
    let mut cuts = 0_u64;
    for seed in 0..40_000 {
        let mut random = TestRandom::new(seed);
        let mut flash = Flash::new();
        let mut allowed = Allowed::only(None);
        for round in 0..random.below(4) {
            allowed = boot(&mut flash, &allowed, &[round as u8; 3]);
            flash.reboot(Reads::Old);
        }
        for cut in 0..=random.below(6) {
            let length = random.below(CAPACITY as u64 + 1) as usize;
            let next = vec![cut as u8; length];
            flash.cut_at(random.below(45) as usize, Tear::random(&mut random));
            allowed = boot(&mut flash, &allowed, &next);
            cuts += u64::from(flash.is_dead());
            flash.reboot(Reads::random(&mut random));
        }
        let readings: Vec<Reads> = (0..4).map(|_| Reads::random(&mut random)).collect();
        check_settles(flash, &allowed, &readings);
    }
    println!("random, up to 6 deep: {cuts} cuts");
}

#[test]
fn a_destroyed_journal_never_passes_for_a_new_chip() {
    for value in [0, 0x5555_5555, 0xFFFF_FFFE] {
        let mut flash = Flash::new();
        boot(&mut flash, &Allowed::only(None), b"codes");
        flash.reboot(Reads::Old);
        // The header, the checksum or the seal of every page.
        for word in [0, flash::PAGE_WORDS - 2] {
            let mut flash = flash.clone();
            for page in 0..3 {
                flash.damage(page * flash::PAGE_WORDS + word, value);
            }
            let opened = Journal::<_, CAPACITY>::open(&mut flash);
            assert_eq!(opened.err(), Some(OpenError::Destroyed));
        }
    }
}

#[test]
fn one_destroyed_page_costs_nothing() {
    for page in 0..3 {
        let mut flash = Flash::new();
        boot(&mut flash, &Allowed::only(None), b"codes");
        // Page 0 holds the record; without it the formatted pages count, so write it to the others too.
        for _ in 0..2 {
            flash.reboot(Reads::Old);
            boot(
                &mut flash,
                &Allowed::only(Some(b"codes".to_vec())),
                b"codes",
            );
        }
        flash.reboot(Reads::Old);
        for word in 0..flash::PAGE_WORDS {
            flash.damage(page * flash::PAGE_WORDS + word, 0);
        }
        let journal = Journal::<_, CAPACITY>::open(&mut flash).expect("two pages are left");
        assert_eq!(journal.read(), Some(&b"codes"[..]));
    }
}

#[test]
fn a_payload_that_does_not_fit_changes_nothing() {
    let mut flash = Flash::new();
    let mut journal = Journal::<_, CAPACITY>::open(&mut flash).expect("a new chip formats");
    assert_eq!(
        journal.commit(&[0; CAPACITY + 1]),
        Err(CommitError::TooLong { given: 9 })
    );
    assert_eq!(journal.commit(&[7; CAPACITY]), Ok(()));
    assert_eq!(journal.read(), Some(&[7; CAPACITY][..]));
}

#[test]
fn after_a_failed_commit_the_journal_refuses_until_it_is_opened_again() {
    let mut flash = Flash::new();
    Journal::<_, CAPACITY>::open(&mut flash).expect("a new chip formats");
    flash.reboot(Reads::Old);
    flash.cut_at(2, Tear::Before);
    let mut journal = Journal::<_, CAPACITY>::open(&mut flash).expect("it is formatted");
    assert_eq!(journal.commit(b"codes"), Err(CommitError::Flash(Cut)));
    assert_eq!(journal.commit(b"codes"), Err(CommitError::Unsettled));
}
