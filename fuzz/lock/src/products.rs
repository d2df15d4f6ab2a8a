//! The personalities of the shipped profiles, so that the state machine behaves as those products' manuals
//! say. They are pages made from the profiles, and a test of the crate `fuzz-parsers` keeps them the same.

use std::sync::LazyLock;

use code_entry::Personality;

const PAGES: [&[u8]; 6] = [
    include_bytes!("../../personalities/kwikset-powerbolt-2.page"),
    include_bytes!("../../personalities/kwikset-smartcode-909.page"),
    include_bytes!("../../personalities/sargent-greenleaf-z03.page"),
    include_bytes!("../../personalities/securam-safelogic.page"),
    include_bytes!("../../personalities/sentrysafe-sfw123.page"),
    include_bytes!("../../personalities/stack-on-red-button.page"),
];

/// How many there are.
pub const COUNT: usize = PAGES.len();

/// All of them.
pub static ALL: LazyLock<Vec<Personality>> = LazyLock::new(|| {
    let read = |page: &&[u8]| Personality::from_page(page).expect("pages are made from profiles");
    PAGES.iter().map(read).collect()
});

/// The page of a script's product, to be put into flash.
pub fn page(product: u8) -> &'static [u8] {
    PAGES[usize::from(product) % COUNT]
}

/// The personality of a script's product.
pub fn of(product: u8) -> &'static Personality {
    &ALL[usize::from(product) % COUNT]
}
