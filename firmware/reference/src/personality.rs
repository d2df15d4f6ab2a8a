//! The page of flash that says which product this lock is.

use code_entry::personality::{PAGE_BYTES, PAGE_MAGIC};
use code_entry::{PageError, Personality};

#[used]
#[expect(unsafe_code, reason = "naming a section is unsafe in itself")]
// SAFETY: the section is the personality page's own, and holds nothing but this.
#[unsafe(link_section = ".personality")]
static PAGE: [u8; PAGE_BYTES] = {
    let mut page = [0xFF; PAGE_BYTES];
    let mut index = 0;
    while index < PAGE_MAGIC.len() {
        page[index] = PAGE_MAGIC[index];
        index += 1;
    }
    page
};

/// Reads the page as it is in flash now.
pub fn read() -> Result<Personality, PageError> {
    let mut page = [0; PAGE_BYTES];
    for (byte, kept) in page.iter_mut().zip(&PAGE) {
        *byte = read_byte(kept);
    }
    Personality::from_page(&page)
}

/// The page is rewritten after the image was built, so the compiler must not use what it knows of it.
#[expect(unsafe_code, reason = "a volatile read is unsafe in itself")]
fn read_byte(kept: &u8) -> u8 {
    // SAFETY: it is a valid reference.
    unsafe { core::ptr::read_volatile(kept) }
}
