//! `lockrig flash`: an image onto a bench's board.

use super::board::{Board, to_rest};
use super::error::Failure;
use super::files::print;
use crate::bench::WhenLocked;
use crate::event::What;

/// Write an image onto a bench's board and read it back
#[derive(clap::Args, Debug)]
pub struct Flash {
    /// An ELF or Intel HEX file, or the name of a shipped image
    image: String,
    /// Erase the whole chip first if it is protected from being read; all that is on it is lost
    #[arg(long)]
    unlock: bool,
    #[command(flatten)]
    board: Board,
}

impl Flash {
    pub fn execute(self) -> Result<u8, Failure> {
        let (library, mut bench) = self.board.load()?;
        if self.unlock {
            bench.when_locked = WhenLocked::Erase;
        }
        let (_, mut prepared) = self.board.prepare_on(&library, &bench, Some(&self.image))?;
        to_rest(&mut prepared.bench)?;
        let Some(What::Flashed {
            image,
            sha256,
            personality,
            chip,
            bytes,
            verified,
            already,
        }) = prepared.receipt
        else {
            return Err(Failure::usage(format!(
                "the bench '{}' has no chip to flash",
                self.board.bench
            )));
        };
        let personality = personality
            .map_or("none: the image has no page for it".to_owned(), |sha256| {
                format!("SHA-256 {sha256}")
            });
        let verified = if verified {
            "read back and compared"
        } else {
            "not read back"
        };
        let done = match already {
            true => format!("'{image}' is on {chip} already"),
            false => format!("flashed '{image}' onto {chip}"),
        };
        print(&format!(
            "{done}: {bytes} bytes, {verified}\nimage        SHA-256 {sha256}\npersonality  {personality}\n"
        ))
    }
}
