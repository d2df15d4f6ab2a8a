//! The personalities of the shipped profiles, as pages of flash without the erased rest.

use lockrig::profile::Product;
use lockrig::project::Project;
use lockrig::source::Source;

/// The name and the page of every shipped profile of a lock with a board.
///
/// # Panics
/// If a shipped profile is wrong, which other tests would have told.
pub fn made() -> Vec<(String, Vec<u8>)> {
    let files = Project::Shipped
        .profiles()
        .expect("the profiles are in the binary");
    let mut made = Vec::new();
    for file in files {
        let text = file.text().expect("profiles are text");
        let product = Product::read(&Source::new(file.name.as_str(), text))
            .expect("shipped profiles are right");
        let Some(profile) = product.lock() else {
            continue;
        };
        let personality = profile
            .personality()
            .expect("the reference firmware can be it");
        let page = personality.to_page().expect("it fits its page");
        let used = page
            .iter()
            .rposition(|byte| *byte != 0xFF)
            .map_or(0, |last| last + 1);
        // The encoding may end with bytes that look erased; a few more do no harm.
        made.push((
            profile.id().to_owned(),
            page[..(used + 8).min(page.len())].to_vec(),
        ));
    }
    made
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_pages_beside_the_fuzzers_are_those_of_the_profiles() {
        for (name, page) in super::made() {
            let path = format!(
                "{}/../personalities/{name}.page",
                env!("CARGO_MANIFEST_DIR")
            );
            assert!(
                std::fs::read(&path).is_ok_and(|found| found == page),
                "'{path}' is not the profile's: cargo run -p fuzz-parsers --example personalities"
            );
        }
    }
}
