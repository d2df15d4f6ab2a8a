//! A rekeyable lock cylinder of the SmartKey kind: plug, sliders, the slot for the learning tool.
//!
//! It has no electronics. What turns the key, pushes it in and pushes the tool is somebody else's
//! ([`Hands`]); the cylinder says how it resists ([`Reaction`]). The rules are those that the
//! makers' instructions and locksmiths' reports give (see `boards/README.md`); where they give no
//! figure, the figure here is the emulation's choice.
//!
//! Lengths are micrometres, angles thousandths of a degree, clockwise positive, torques
//! millinewton metres.

/// The cuts of a key, from the shoulder to the tip; 0 is uncut, 1 to 6 are depths that the sliders
/// can take.
pub type Cuts = [u8; 5];

/// Keys that the magazine of the stage holds.
pub const KEYS: usize = 5;

/// A key's tip meets the keyway here, counted from where the key is clear of it.
pub const ENTRY: i64 = 2_000;
/// And its shoulder meets the plug here.
pub const SHOULDER: i64 = 30_000;
/// The tool is all the way in here.
pub const TOOL_END: i64 = 12_000;
/// The quarter turn.
pub const QUARTER: i64 = 90_000;

/// As far as this from the shoulder a key counts as pushed home.
const SHOULDER_PLAY: i64 = 200;
/// The slot lines up with the sliders' carriage as far as this from the quarter turn.
const SLOT_PLAY: i64 = 3_000;
/// Of the way into the slot, what is free although the slot does not line up.
const SLOT_BLOCKED_AT: i64 = 7_000;
/// From here on the tool has moved the carriage.
const CLICK_AT: i64 = 11_400;
/// A tool that is in the slot as far as this holds the plug.
const TOOL_HOLDS: i64 = 500;
/// The plug rattles this far before a key that it does not take is felt.
const PLUG_PLAY: i64 = 1_500;
/// Loose sliders bear this much turning before they leave their places.
const LOOSE_PLAY: i64 = 2_000;
/// Sliders are engaged again once the plug has come this far back.
const ENGAGED_AT: i64 = 80_000;
/// The plug's own stops, both ways.
const STOP: i64 = 105_000;
/// A key enters, and a blade stays straight, if head and plug differ by less.
const KEYWAY_PLAY: i64 = 3_000;
/// How the coupling between head and key winds up: millinewton metres for each degree.
const STIFFNESS: i64 = 200;
/// What a plug that turns freely takes.
const FRICTION: i64 = 60;
/// How far feed and plunger may be pushed against something before their springs give way.
const SPRING: i64 = 500;
/// A plug within this of its rest position lets go of its key.
const REST_PLAY: i64 = 2_000;
/// From here on the tailpiece has thrown the bolt over.
const TURNED: i64 = 80_000;

/// What is wrong with a cylinder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// Something in it binds from 40° to 50°.
    Binds,
    /// A rekey adds the new key and keeps the old one.
    KeepsOldKey,
    /// Its sliders fall out of place when the key is drawn out of them in the learning state.
    LosesSliders,
}

/// Where the stage holds key and tool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hands {
    /// The head that holds the key.
    pub turn: i64,
    /// How far the key is pushed forward.
    pub feed: i64,
    /// The key that stands before the keyway.
    pub key: Option<Cuts>,
    /// How far the tool is pushed forward.
    pub tool: i64,
}

/// How the cylinder resists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reaction {
    /// Torque on the key, either way.
    pub torque: i64,
    /// Key or tool push against something that does not give way.
    pub blocked: bool,
    /// The carriage clicked into the learning state.
    pub clicked: bool,
}

/// The cylinder at one moment.
#[derive(Clone, Debug)]
pub struct Cylinder {
    defect: Option<Defect>,
    learnt: Cuts,
    /// A key that works beside the learnt one, by a defect.
    also: Option<Cuts>,
    learning: bool,
    jammed: bool,
    plug: i64,
    /// How far the key that is in it really is in; 0 where there is none.
    key_in: i64,
    tool_in: i64,
}

impl Cylinder {
    /// A cylinder at rest, empty, that knows one key.
    pub fn new(learnt: Cuts, defect: Option<Defect>) -> Cylinder {
        Cylinder {
            defect,
            learnt,
            also: None,
            learning: false,
            jammed: false,
            plug: 0,
            key_in: 0,
            tool_in: 0,
        }
    }

    /// The plug's angle.
    pub fn plug(&self) -> i64 {
        self.plug
    }

    /// Whether the sliders are loose and take the next key.
    pub fn is_learning(&self) -> bool {
        self.learning
    }

    /// Whether the sliders are out of place: no key turns any more.
    pub fn is_jammed(&self) -> bool {
        self.jammed
    }

    /// The plug is where keys go in and out.
    pub fn is_at_rest(&self) -> bool {
        self.plug.abs() <= REST_PLAY
    }

    /// The plug is turned so far, either way, that the bolt is thrown over.
    pub fn is_turned(&self) -> bool {
        self.plug.abs() >= TURNED
    }

    /// The tool is in the slot as far as it goes.
    pub fn is_tool_seated(&self) -> bool {
        self.tool_in >= CLICK_AT
    }

    /// The hands have moved a little: no further than plug and key can follow in one go.
    pub fn follow(&mut self, hands: Hands) -> Reaction {
        let pushed = self.follow_feed(hands);
        let torque = self.follow_turn(hands);
        let (pressed, clicked) = self.follow_tool(hands);
        Reaction {
            torque,
            blocked: pushed || pressed,
            clicked,
        }
    }

    fn follow_feed(&mut self, hands: Hands) -> bool {
        let Some(_) = hands.key else {
            return hands.feed > ENTRY + SPRING;
        };
        let wanted = if hands.feed <= ENTRY { 0 } else { hands.feed };
        let turned_away = (hands.turn - self.plug).abs() > KEYWAY_PLAY;
        let held = !self.is_at_rest() && !self.learning;
        let bound = if self.key_in == 0 {
            // A blade that stands across the keyway, or a plug that is turned and takes no key.
            if turned_away { 0 } else { SHOULDER }
        } else {
            SHOULDER
        };
        let least = if self.key_in > 0 && held {
            self.key_in
        } else {
            0
        };
        let before = self.key_in;
        self.key_in = wanted.clamp(least.min(bound), bound);
        if self.learning && self.key_in < before && self.defect == Some(Defect::LosesSliders) {
            self.jammed = true;
        }
        let rest = if self.key_in == 0 { ENTRY } else { self.key_in };
        hands.feed - rest > SPRING || (self.key_in > 0 && rest - hands.feed > SPRING)
    }

    fn follow_turn(&mut self, hands: Hands) -> i64 {
        let (Some(key), true) = (hands.key, self.key_in > 0) else {
            return 0;
        };
        if !self.is_free(key) {
            let wound = (hands.turn - self.plug).abs() - PLUG_PLAY;
            return wound.max(0) * STIFFNESS / 1_000;
        }
        self.plug = hands.turn.clamp(-STOP, STOP);
        self.turned(key);
        let beyond = (hands.turn - self.plug).abs() * STIFFNESS / 1_000;
        let binds = self.defect == Some(Defect::Binds) && (40_000..50_000).contains(&self.plug);
        FRICTION + beyond + if binds { 2_500 } else { 0 }
    }

    fn is_home(&self) -> bool {
        self.key_in >= SHOULDER - SHOULDER_PLAY
    }

    fn knows(&self, key: Cuts) -> bool {
        key == self.learnt || Some(key) == self.also
    }

    /// Whether a key in the keyway can turn the plug. Loose sliders hold nothing.
    fn is_free(&self, key: Cuts) -> bool {
        let taken = self.learning || self.is_home() && self.knows(key);
        taken && !self.jammed && self.tool_in < TOOL_HOLDS
    }

    /// What the plug's turning does to the sliders.
    fn turned(&mut self, key: Cuts) {
        if !self.learning {
            return;
        }
        if !self.is_home() {
            self.jammed |= (self.plug - QUARTER).abs() > LOOSE_PLAY;
        } else if self.plug < ENGAGED_AT {
            self.learning = false;
            self.jammed = key.iter().any(|cut| !(1..=6).contains(cut));
            if self.defect == Some(Defect::KeepsOldKey) {
                self.also = Some(self.learnt);
            }
            self.learnt = key;
        }
    }

    fn follow_tool(&mut self, hands: Hands) -> (bool, bool) {
        let quarter = (self.plug - QUARTER).abs() <= SLOT_PLAY;
        let carried = self.is_home() && hands.key.is_some_and(|key| self.knows(key));
        let lines_up = quarter && !self.jammed && (self.learning || carried);
        let bound = if lines_up || self.tool_in > SLOT_BLOCKED_AT {
            TOOL_END
        } else {
            SLOT_BLOCKED_AT
        };
        self.tool_in = hands.tool.clamp(0, bound);
        let clicked = lines_up && !self.learning && self.tool_in >= CLICK_AT;
        self.learning |= clicked;
        (hands.tool - self.tool_in > SPRING, clicked)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cuts, Cylinder, Defect, Hands, Reaction, SHOULDER, TOOL_END};

    const OLD: Cuts = [3, 5, 2, 4, 1];
    const NEW: Cuts = [2, 2, 6, 1, 5];

    /// Hands that move one thing at a time, in small steps.
    struct Bench {
        cylinder: Cylinder,
        hands: Hands,
        most: i64,
        blocked: bool,
        clicks: u32,
    }

    impl Bench {
        fn new(defect: Option<Defect>) -> Bench {
            Bench {
                cylinder: Cylinder::new(OLD, defect),
                hands: Hands::default(),
                most: 0,
                blocked: false,
                clicks: 0,
            }
        }

        fn go(&mut self, axis: fn(&mut Hands) -> &mut i64, to: i64) -> &mut Bench {
            (self.most, self.blocked) = (0, false);
            while *axis(&mut self.hands) != to {
                let here = *axis(&mut self.hands);
                *axis(&mut self.hands) = here + (to - here).clamp(-100, 100);
                let Reaction {
                    torque,
                    blocked,
                    clicked,
                } = self.cylinder.follow(self.hands);
                self.most = self.most.max(torque);
                self.blocked |= blocked;
                self.clicks += u32::from(clicked);
            }
            self
        }

        fn insert(&mut self, key: Cuts) -> &mut Bench {
            self.hands.key = Some(key);
            self.go(|hands| &mut hands.feed, SHOULDER)
        }

        fn withdraw(&mut self) -> &mut Bench {
            self.go(|hands| &mut hands.feed, 0)
        }

        fn turn(&mut self, degrees: i64) -> &mut Bench {
            self.go(|hands| &mut hands.turn, degrees * 1_000)
        }

        fn plunge(&mut self) -> &mut Bench {
            self.go(|hands| &mut hands.tool, TOOL_END);
            let blocked = self.blocked;
            self.go(|hands| &mut hands.tool, 0);
            self.blocked |= blocked;
            self
        }

        /// Whether the key turns the plug a quarter and back.
        fn turns(&mut self, key: Cuts) -> bool {
            // A plug that is stuck where it stands is not turned by anything.
            let stuck = self.cylinder.is_turned();
            self.insert(key).turn(90);
            let turned = self.cylinder.is_turned();
            self.turn(0).withdraw();
            turned && !stuck
        }
    }

    #[test]
    fn a_rekey_as_documented_changes_the_key() {
        let mut bench = Bench::new(None);
        bench.insert(OLD).turn(90).plunge();
        assert_eq!((bench.clicks, bench.blocked), (1, false));
        bench.withdraw();
        assert!(!bench.blocked, "the learning state lets go of the key");
        bench.insert(NEW).turn(-90).turn(0).withdraw();
        assert!(bench.turns(NEW) && !bench.turns(OLD) && bench.turns(NEW));
    }

    #[test]
    fn the_tool_clicks_only_at_the_quarter_turn_with_a_key_that_works() {
        let mut bench = Bench::new(None);
        bench.plunge();
        assert!(bench.blocked);
        for degrees in [0, 80, 86, 94, 100] {
            bench.insert(OLD).turn(degrees).plunge();
            assert!(bench.blocked && bench.clicks == 0, "at {degrees}");
            bench.turn(0).withdraw();
        }
        bench.insert(NEW).turn(90);
        assert!(bench.most > 2_000);
        bench.plunge();
        assert_eq!(bench.clicks, 0);
        bench.turn(0).withdraw();
        for degrees in [88, 92] {
            bench.insert(OLD).turn(degrees).plunge().turn(0).withdraw();
        }
        assert_eq!(bench.clicks, 2, "the old key can be learnt again");
        assert!(bench.turns(OLD));
    }

    #[test]
    fn a_turned_plug_holds_its_key_and_a_tool_holds_the_plug() {
        let mut bench = Bench::new(None);
        bench.insert(OLD).turn(90).withdraw();
        assert!(bench.blocked);
        bench.insert(OLD);
        bench.go(|hands| &mut hands.tool, TOOL_END).turn(0);
        assert!(bench.most > 2_000 && bench.cylinder.is_turned());
    }

    #[test]
    fn loose_sliders_that_are_turned_without_a_whole_key_jam_for_good() {
        for (degrees, jams) in [(1, false), (5, true)] {
            let mut bench = Bench::new(None);
            bench.insert(OLD).turn(90).plunge();
            bench.go(|hands| &mut hands.feed, SHOULDER - 3_000);
            bench.turn(90 + degrees).turn(90).withdraw();
            assert_eq!(bench.cylinder.is_jammed(), jams, "{degrees}");
            bench.insert(NEW).turn(0).withdraw();
            let expected = [false, !jams];
            assert_eq!([bench.turns(OLD), bench.turns(NEW)], expected);
        }
    }

    #[test]
    fn a_key_with_cuts_that_no_slider_takes_jams() {
        let mut bench = Bench::new(None);
        bench.insert(OLD).turn(90).plunge().withdraw();
        bench.insert([3, 5, 2, 8, 1]).turn(0).withdraw();
        assert!(bench.cylinder.is_jammed() && !bench.turns(OLD));
    }

    #[test]
    fn each_defect_breaks_what_it_says() {
        let mut binding = Bench::new(Some(Defect::Binds));
        binding.insert(OLD).turn(90);
        assert!(binding.most > 2_000);
        for (defect, old_turns, new_turns) in [
            (Defect::KeepsOldKey, true, true),
            (Defect::LosesSliders, false, false),
        ] {
            let mut bench = Bench::new(Some(defect));
            bench.insert(OLD).turn(90).plunge().withdraw();
            bench.insert(NEW).turn(0).withdraw();
            assert_eq!((bench.turns(OLD), bench.turns(NEW)), (old_turns, new_turns));
        }
    }
}
